//! The queries by hand: axum endpoints that issue the statements of the GraphQL queries and mutations
//! through the same connections. What they are faster by is what GraphQL costs.
//!
//! `endpoint --database-url sqlite://rookery.db --listen 127.0.0.1:8001`, then GET /q1/{username}, /q2/…, /q3/…;
//! with `Authorization: Bearer <token>`, POST /m1/follow/{username}, /m1/unfollow/{username} and /m2.

mod answer;

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
use rookery::http::{Patience, Stopping};
use rookery::id::Id;
use rookery::key::Keys;
use rookery::loader::{
    Batch as _, Entry, MANY, Neighbour, PageOf, Side, TimelineOf, Timelines, WINDOW, follows_sql,
};
use rookery::page::{Direction, Page};
use sea_orm::{
    ActiveEnum as _, ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult as _,
};
use tokio::net::TcpListener;

use answer::{Author, Follower, Followers, Listed, Named, Post, Profile, Timeline};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

#[derive(Clone)]
struct Shared {
    database: Database,
    keys: std::sync::Arc<Keys>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Arguments::parse().config;
    let patience = Patience::from(&config);
    let Config { database, listen, node, .. } = config;
    let database = Database::open(&database).await?;
    let node = database.node(node).await?;
    let keys = Keys::new(node, database.largest_key().await?).into();
    database.keep_log_short();
    let router = Router::new()
        .route("/q1/{username}", get(q1))
        .route("/q2/{username}", get(q2))
        .route("/q3/{username}", get(q3))
        .route("/m1/follow/{username}", post(follow))
        .route("/m1/unfollow/{username}", post(unfollow))
        .route("/m2", post(create))
        .with_state(Shared { database, keys });
    let listener = TcpListener::bind(listen).await?;
    println!("http://{}/", listener.local_addr()?);
    let never = (std::future::pending(), Stopping::default());
    rookery::http::serve(listener, router, never, patience).await;
    Ok(())
}

/// Whatever goes wrong ends the measurement.
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

type Answer<T> = Result<Json<T>, Failure>;

async fn find(snapshot: &Snapshot, username: &str) -> anyhow::Result<user::Model> {
    let engine = snapshot.engine();
    let sql = format!("SELECT * FROM \"user\" WHERE {}", engine.is_in("lower(username)", 1));
    let users = snapshot.all(&sql, [engine.texts([user::sought(username)])]).await?;
    users.into_iter().next().ok_or_else(|| anyhow::anyhow!("there is no {username}"))
}

async fn q1(State(shared): State<Shared>, Path(username): Path<String>) -> Answer<Timeline> {
    let snapshot = Snapshot::new(&shared.database);
    let owner = find(&snapshot, &username).await?;
    let page = Page::new(Some(20), None, None, None);
    let page = PageOf { owner: owner.id, page: page.map_err(|error| failed(&error))? };
    let key = TimelineOf { page, follows_many: owner.following_count >= MANY };
    let timelines = Timelines::new(snapshot, WINDOW);
    let found = timelines.load(std::slice::from_ref(&key)).await.map_err(|error| failed(&error))?;
    let entries = found.get(&key).map_or(&[][..], |slice| &slice.rows);
    let post = |entry: &Entry| Post {
        id: Id::Post(entry.post.id).encode(),
        body: entry.post.body.clone(),
        author: Author {
            id: Id::User(entry.author.id).encode(),
            username: entry.author.username.clone(),
            followers: entry.author.followers_count,
            following: entry.author.following_count,
        },
    };
    Ok(Json(Timeline { timeline: entries.iter().map(post).collect() }))
}

/// The newest `size` of a list of each of the `owners`.
async fn neighbours(
    snapshot: &Snapshot,
    side: Side,
    owners: Vec<i64>,
    size: usize,
) -> anyhow::Result<HashMap<i64, Vec<Neighbour>>> {
    let engine = snapshot.engine();
    let limit = i64::try_from(size)? + 1;
    let values = [engine.keys(owners), i64::MAX.into(), 0i64.into(), limit.into()];
    let rows: Vec<Neighbour> =
        snapshot.all(&follows_sql(engine, side, Direction::Forward), values).await?;
    let mut lists: HashMap<i64, Vec<Neighbour>> = HashMap::new();
    for row in rows {
        lists.entry(row.owner).or_default().push(row);
    }
    for list in lists.values_mut() {
        list.sort_unstable_by_key(|row| std::cmp::Reverse(row.follow_id));
        list.truncate(size);
    }
    Ok(lists)
}

async fn q2(State(shared): State<Shared>, Path(username): Path<String>) -> Answer<Profile> {
    let snapshot = Snapshot::new(&shared.database);
    let owner = find(&snapshot, &username).await?;
    let mut lists = Vec::with_capacity(2);
    for side in [Side::Followers, Side::Following] {
        let mut found = neighbours(&snapshot, side, vec![owner.id], 20).await?;
        let list = found.remove(&owner.id).unwrap_or_default();
        let listed = |row: Neighbour| Listed {
            username: row.user.username,
            followers: row.user.followers_count,
        };
        lists.push(list.into_iter().map(listed).collect());
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

async fn q3(State(shared): State<Shared>, Path(username): Path<String>) -> Answer<Followers> {
    let snapshot = Snapshot::new(&shared.database);
    let owner = find(&snapshot, &username).await?;
    let mut found = neighbours(&snapshot, Side::Followers, vec![owner.id], 20).await?;
    let list = found.remove(&owner.id).unwrap_or_default();
    let owners = list.iter().map(|row| row.user.id).collect();
    let mut below = neighbours(&snapshot, Side::Following, owners, 10).await?;
    let follower = |row: Neighbour| {
        let following = below.remove(&row.user.id).unwrap_or_default();
        let named = |row: Neighbour| Named { username: row.user.username };
        Follower {
            username: row.user.username,
            following: following.into_iter().map(named).collect(),
        }
    };
    Ok(Json(Followers { followers: list.into_iter().map(follower).collect() }))
}

async fn viewer(shared: &Shared, headers: &HeaderMap) -> anyhow::Result<Viewer> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| anyhow::anyhow!("there is no token"))?;
    let viewer = Viewer::authenticate(&Snapshot::new(&shared.database), token).await;
    viewer.map_err(|error| failed(&error))
}

const INSERT_FOLLOW: &str = "INSERT INTO follow (id, follower_id, followed_id) VALUES ($1, $2, $3) \
    ON CONFLICT (follower_id, followed_id) DO NOTHING";
const DELETE_FOLLOW: &str = "DELETE FROM follow WHERE follower_id = $1 AND followed_id = $2";
const MOVE_COUNTS: &str = "UPDATE \"user\" SET \
    following_count = following_count + CASE WHEN id = $1 THEN $3 ELSE 0 END, \
    followers_count = followers_count + CASE WHEN id = $2 THEN $3 ELSE 0 END \
    WHERE id IN ($1, $2) RETURNING *";

async fn follow(
    State(shared): State<Shared>,
    Path(username): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    change(&shared, &username, &headers, 1).await
}

async fn unfollow(
    State(shared): State<Shared>,
    Path(username): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    change(&shared, &username, &headers, -1).await
}

async fn change(
    shared: &Shared,
    username: &str,
    headers: &HeaderMap,
    step: i32,
) -> Result<StatusCode, Failure> {
    let viewer = viewer(shared, headers).await?;
    let database = &shared.database;
    let transaction = database.begin().await?;
    let by = user::By::Username(username.to_owned());
    let target = user::Entity::find_by(&by).one(&transaction).await?;
    let target = target.ok_or_else(|| anyhow::anyhow!("there is no {username}"))?;
    let lock = match database.engine() {
        Engine::Sqlite => "",
        Engine::Postgres => "FOR NO KEY UPDATE",
    };
    let sql = format!("SELECT * FROM \"user\" WHERE id IN ($1, $2) ORDER BY id {lock}");
    let both = database.statement(&sql, [viewer.id().into(), target.id.into()]);
    user::Model::find_by_statement(both).all(&transaction).await?;
    let (one, other) = (viewer.id(), target.id);
    let statement = if step > 0 {
        database.statement(INSERT_FOLLOW, [shared.keys.next().into(), one.into(), other.into()])
    } else {
        database.statement(DELETE_FOLLOW, [one.into(), other.into()])
    };
    if transaction.execute_raw(statement).await?.rows_affected() > 0 {
        let kind = if step > 0 { event::Kind::Followed } else { event::Kind::Unfollowed };
        tell(shared, &transaction, kind, (one, other)).await?;
        let moved = database.statement(MOVE_COUNTS, [one.into(), other.into(), step.into()]);
        user::Model::find_by_statement(moved).all(&transaction).await?;
    }
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> Result<StatusCode, Failure> {
    let viewer = viewer(&shared, &headers).await?;
    let database = &shared.database;
    let transaction = database.begin().await?;
    let sql = "UPDATE \"user\" SET posts_count = posts_count + 1 WHERE id = $1";
    transaction.execute_raw(database.statement(sql, [viewer.id().into()])).await?;
    let id = shared.keys.next();
    let sql =
        "INSERT INTO post (id, author_id, body, created_at) VALUES ($1, $2, $3, $4) RETURNING *";
    let created = rookery::key::time_of(id);
    let values = [id.into(), viewer.id().into(), body.into(), created.into()];
    post::Model::find_by_statement(database.statement(sql, values)).one(&transaction).await?;
    tell(&shared, &transaction, event::Kind::PostAdded, (viewer.id(), id)).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tell(
    shared: &Shared,
    transaction: &DatabaseTransaction,
    kind: event::Kind,
    (actor, object): (i64, i64),
) -> Result<(), DbErr> {
    let sql = "INSERT INTO event (kind, actor, object, at) VALUES ($1, $2, $3, $4)";
    let now = rookery::key::time_of(shared.keys.next());
    let values = [kind.into_value().into(), actor.into(), object.into(), now.into()];
    transaction.execute_raw(shared.database.statement(sql, values)).await.map(drop)
}
