//! The handwritten axum baseline for the benchmark queries and mutations.
//!
//! The axum handlers run the SQL statements of the GraphQL operations, with the same connection
//! pool, entities and batch functions as Rookery. The difference between Rookery and this baseline
//! is the cost of GraphQL.
//!
//! `axum-baseline --database-url sqlite://rookery.db --listen 127.0.0.1:8001` serves
//! `GET /q1/{username}`, `/q2/{username}` and `/q3/{username}`. With the header
//! `Authorization: Bearer <token>` it also serves `POST /m1/follow/{username}`,
//! `/m1/unfollow/{username}` and `/m2`.

mod response;

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use entity::{event, post, user};
use rookery::auth::Viewer;
use rookery::config::Config;
use rookery::database::{Database, Engine, Snapshot};
use rookery::error::Error;
use rookery::http::{ServerLimits, ServerOptions, Shutdown};
use rookery::ids::{GlobalId, IdGenerator};
use rookery::loaders::{
    Batch as _, ListedUser, PageKey, SCAN_WINDOW, TimelineFilter, TimelineKey, TimelineRow,
    Timelines, UserList, user_list_sql,
};
use rookery::pagination::{Direction, PageRequest};
use sea_orm::{
    ActiveEnum as _, ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult as _,
};
use tokio::net::TcpListener;

use response::{Author, Follower, Followers, Post, Profile, Timeline, UserNode, Username};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

#[derive(Clone)]
struct AppState {
    database: Database,
    ids: std::sync::Arc<IdGenerator>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Arguments::parse().config;
    let limits = ServerLimits::from(&config);
    let Config { database, http, instance_id, .. } = config;
    let database = Database::open(&database).await?;
    let instance = database.claim_instance_id(instance_id).await?;
    let ids = IdGenerator::new(instance, database.max_id().await?).into();
    database.start_wal_checkpointer();
    let router = Router::new()
        .route("/q1/{username}", get(q1))
        .route("/q2/{username}", get(q2))
        .route("/q3/{username}", get(q3))
        .route("/m1/follow/{username}", post(follow))
        .route("/m1/unfollow/{username}", post(unfollow))
        .route("/m2", post(create))
        .with_state(AppState { database, ids });
    let listener = TcpListener::bind(&http.listen).await?;
    println!("http://{}/", listener.local_addr()?);
    let options = ServerOptions { limits, shutdown: Shutdown::default(), access_log: None };
    rookery::http::serve(listener, router, std::future::pending(), options).await;
    Ok(())
}

/// Any error, as status 500. The load harness aborts the measurement.
struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", self.0)).into_response()
    }
}

fn failed(error: &Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

type JsonResult<T> = Result<Json<T>, Failure>;

async fn find(snapshot: &Snapshot, username: &str) -> anyhow::Result<user::Model> {
    let engine = snapshot.engine();
    let sql = format!("SELECT * FROM \"user\" WHERE {}", engine.in_list_sql("lower(username)", 1));
    let users = snapshot
        .all(1, &sql, [engine.bind_strings([user::normalize_identifier(username)])])
        .await
        .map_err(|error| failed(&error))?;
    users.into_iter().next().ok_or_else(|| anyhow::anyhow!("there is no user {username}"))
}

async fn q1(State(state): State<AppState>, Path(username): Path<String>) -> JsonResult<Timeline> {
    let snapshot = Snapshot::new(&state.database);
    let owner = find(&snapshot, &username).await?;
    let page = PageRequest::new(Some(20), None, None, None);
    let page = PageKey { owner: owner.id, page: page.map_err(|error| failed(&error))? };
    let (following, has_mutes) = (owner.following_count, false);
    let timeline = rookery::loaders::Timeline {
        owner: owner.id,
        following,
        has_mutes,
        filter: TimelineFilter::default(),
    };
    let key = TimelineKey { page, timeline };
    let timelines = Timelines::new(snapshot, owner.id.into(), SCAN_WINDOW);
    let pages = timelines.load(std::slice::from_ref(&key)).await.map_err(|error| failed(&error))?;
    let rows = pages.get(&key).map_or(&[][..], |page| &page.rows);
    let post = |row: &TimelineRow| Post {
        id: GlobalId::Post(row.post.id).encode(),
        body: row.post.body.clone(),
        author: Author {
            id: GlobalId::User(row.author.id).encode(),
            username: row.author.username.clone(),
            followers: row.author.followers_count,
            following: row.author.following_count,
        },
    };
    Ok(Json(Timeline { timeline: rows.iter().map(post).collect() }))
}

/// The `size` newest entries of a follow list of each of the `owners`.
async fn follow_pages(
    snapshot: &Snapshot,
    list: UserList,
    owners: Vec<i64>,
    size: usize,
) -> anyhow::Result<HashMap<i64, Vec<ListedUser>>> {
    let engine = snapshot.engine();
    let limit = i64::try_from(size)? + 1;
    let (owners, viewer) = (engine.bind_ids(owners), 0i64.into());
    let values = [owners, i64::MAX.into(), 0i64.into(), limit.into(), viewer];
    let rows: Vec<ListedUser> = snapshot
        .all(0, &user_list_sql(engine, list, Direction::Forward), values)
        .await
        .map_err(|error| failed(&error))?;
    let mut pages: HashMap<i64, Vec<ListedUser>> = HashMap::new();
    for row in rows {
        pages.entry(row.owner).or_default().push(row);
    }
    for page in pages.values_mut() {
        page.sort_unstable_by_key(|row| std::cmp::Reverse(row.entry_id));
        page.truncate(size);
    }
    Ok(pages)
}

async fn q2(State(state): State<AppState>, Path(username): Path<String>) -> JsonResult<Profile> {
    let snapshot = Snapshot::new(&state.database);
    let owner = find(&snapshot, &username).await?;
    let mut lists = Vec::with_capacity(2);
    for list in [UserList::Followers, UserList::Following] {
        let mut pages = follow_pages(&snapshot, list, vec![owner.id], 20).await?;
        let page = pages.remove(&owner.id).unwrap_or_default();
        let listed = |row: ListedUser| UserNode {
            username: row.user.username,
            followers: row.user.followers_count,
        };
        lists.push(page.into_iter().map(listed).collect());
    }
    let following = lists.pop().unwrap_or_default();
    let followers = lists.pop().unwrap_or_default();
    Ok(Json(Profile {
        username: owner.username,
        followers_count: owner.followers_count,
        following_count: owner.following_count,
        posts_count: owner.posts_count,
        followers,
        following,
    }))
}

async fn q3(State(state): State<AppState>, Path(username): Path<String>) -> JsonResult<Followers> {
    let snapshot = Snapshot::new(&state.database);
    let owner = find(&snapshot, &username).await?;
    let mut pages = follow_pages(&snapshot, UserList::Followers, vec![owner.id], 20).await?;
    let followers = pages.remove(&owner.id).unwrap_or_default();
    let owners = followers.iter().map(|row| row.user.id).collect();
    let mut pages = follow_pages(&snapshot, UserList::Following, owners, 10).await?;
    let follower = |row: ListedUser| {
        let following = pages.remove(&row.user.id).unwrap_or_default();
        let username = |row: ListedUser| Username { username: row.user.username };
        Follower {
            username: row.user.username,
            following: following.into_iter().map(username).collect(),
        }
    };
    Ok(Json(Followers { followers: followers.into_iter().map(follower).collect() }))
}

async fn viewer(state: &AppState, headers: &HeaderMap) -> anyhow::Result<Viewer> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| anyhow::anyhow!("there is no token"))?;
    let viewer = Viewer::authenticate(&Snapshot::new(&state.database), token).await;
    viewer.map_err(|error| failed(&error))
}

const INSERT_FOLLOW: &str = "INSERT INTO follow (id, follower_id, followed_id) VALUES ($1, $2, $3) \
    ON CONFLICT (follower_id, followed_id) DO NOTHING";
const DELETE_FOLLOW: &str = "DELETE FROM follow WHERE follower_id = $1 AND followed_id = $2";
const UPDATE_COUNTS: &str = "UPDATE \"user\" SET \
    following_count = following_count + CASE WHEN id = $1 THEN $3 ELSE 0 END, \
    followers_count = followers_count + CASE WHEN id = $2 THEN $3 ELSE 0 END \
    WHERE id IN ($1, $2) RETURNING *";

async fn follow(
    State(state): State<AppState>,
    Path(username): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    change_follow(&state, &username, &headers, 1).await
}

async fn unfollow(
    State(state): State<AppState>,
    Path(username): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    change_follow(&state, &username, &headers, -1).await
}

/// Follows with the step 1, and unfollows with the step -1.
async fn change_follow(
    state: &AppState,
    username: &str,
    headers: &HeaderMap,
    step: i32,
) -> Result<StatusCode, Failure> {
    let viewer = viewer(state, headers).await?;
    let database = &state.database;
    let transaction = database.begin().await?;
    let by = user::UserRef::Username(username.to_owned());
    let target = user::Entity::find_by(&by).one(&transaction).await?;
    let target = target.ok_or_else(|| anyhow::anyhow!("there is no user {username}"))?;
    let (follower, followed) = (viewer.id(), target.id);
    let lock = match database.engine() {
        Engine::Sqlite => "",
        Engine::Postgres => "FOR NO KEY UPDATE",
    };
    let sql = format!("SELECT * FROM \"user\" WHERE id IN ($1, $2) ORDER BY id {lock}");
    let users = database.statement(&sql, [follower.into(), followed.into()]);
    user::Model::find_by_statement(users).all(&transaction).await?;
    let statement = if step > 0 {
        let id = state.ids.next();
        database.statement(INSERT_FOLLOW, [id.into(), follower.into(), followed.into()])
    } else {
        database.statement(DELETE_FOLLOW, [follower.into(), followed.into()])
    };
    if transaction.execute_raw(statement).await?.rows_affected() > 0 {
        let kind = if step > 0 { event::Kind::Followed } else { event::Kind::Unfollowed };
        insert_event(state, &transaction, kind, (follower, followed)).await?;
        let counts = [follower.into(), followed.into(), step.into()];
        let updated = database.statement(UPDATE_COUNTS, counts);
        user::Model::find_by_statement(updated).all(&transaction).await?;
    }
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: String,
) -> Result<StatusCode, Failure> {
    let viewer = viewer(&state, &headers).await?;
    let database = &state.database;
    let transaction = database.begin().await?;
    let sql = "UPDATE \"user\" SET posts_count = posts_count + 1 WHERE id = $1";
    transaction.execute_raw(database.statement(sql, [viewer.id().into()])).await?;
    let id = state.ids.next();
    let sql =
        "INSERT INTO post (id, author_id, body, created_at) VALUES ($1, $2, $3, $4) RETURNING *";
    let created = rookery::ids::snowflake::timestamp_of(id);
    let values = [id.into(), viewer.id().into(), body.into(), created.into()];
    post::Model::find_by_statement(database.statement(sql, values)).one(&transaction).await?;
    let sql = "INSERT INTO feed_item (actor_id, id, post_id, kind) VALUES ($1, $2, $2, 0)";
    transaction.execute_raw(database.statement(sql, [viewer.id().into(), id.into()])).await?;
    insert_event(&state, &transaction, event::Kind::PostAdded, (viewer.id(), id)).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn insert_event(
    state: &AppState,
    transaction: &DatabaseTransaction,
    kind: event::Kind,
    (actor, object): (i64, i64),
) -> Result<(), DbErr> {
    let sql = "INSERT INTO event (kind, actor, object, at) VALUES ($1, $2, $3, $4)";
    let now = rookery::ids::snowflake::timestamp_of(state.ids.next());
    let values = [kind.into_value().into(), actor.into(), object.into(), now.into()];
    transaction.execute_raw(state.database.statement(sql, values)).await.map(drop)
}
