//! The driver baseline on PostgreSQL, through `tokio-postgres`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use rookery::database::Engine;
use rookery::ids::GlobalId;
use rookery::loaders::{ItemFilter, UserList, merge_heads, user_list_sql};
use rookery::pagination::Direction;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

use crate::response::{Author, Follower, Followers, Post, Profile, Timeline, UserNode, Username};

/// Number of connections: the default of `--database-max-read-connections`.
const CONNECTIONS: usize = 4;

/// A connection with its prepared statements.
struct Connection {
    client: Client,
    user: Statement,
    timeline: Statement,
    followers: Statement,
    following: Statement,
}

/// The connections, used round robin.
struct Connections {
    connections: Vec<Connection>,
    next: AtomicUsize,
}

impl Connections {
    fn next(&self) -> &Connection {
        &self.connections[self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS]
    }
}

/// Opens the connections and returns the routes.
///
/// # Errors
/// Any error of the database.
pub async fn router(url: &str) -> anyhow::Result<Router> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(url).await?);
    }
    Ok(Router::new()
        .route("/q1/{username}", get(q1))
        .route("/q2/{username}", get(q2))
        .route("/q3/{username}", get(q3))
        .with_state(Arc::new(Connections { connections, next: AtomicUsize::new(0) })))
}

struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

type SharedConnections = State<Arc<Connections>>;
type JsonResult<T> = Result<Json<T>, Failure>;

impl Connection {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SET plan_cache_mode = force_generic_plan; SET jit = off").await?;
        let follows = |list| user_list_sql(Engine::Postgres, list, Direction::Forward);
        let user = "SELECT id, username, followers_count, following_count, posts_count \
            FROM \"user\" WHERE lower(username) = lower($1)";
        Ok(Self {
            user: client.prepare(user).await?,
            timeline: client
                .prepare(&merge_heads(Engine::Postgres, ItemFilter::default(), Direction::Forward))
                .await?,
            followers: client.prepare(&follows(UserList::Followers)).await?,
            following: client.prepare(&follows(UserList::Following)).await?,
            client,
        })
    }

    async fn find(&self, username: &str) -> Result<Row, Error> {
        self.client.query_one(&self.user, &[&username]).await
    }

    /// The `size` newest entries of a follow list of each owner, with the users' ids.
    async fn follow_pages(
        &self,
        statement: &Statement,
        owners: &[i64],
        size: usize,
    ) -> Result<HashMap<i64, Vec<(i64, UserNode)>>, Error> {
        let limit = i64::try_from(size).unwrap_or(i64::MAX) + 1;
        let mut rows =
            self.client.query(statement, &[&owners, &i64::MAX, &0i64, &limit, &0i64]).await?;
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.get::<_, i64>("entry_id")));
        let mut pages: HashMap<i64, Vec<(i64, UserNode)>> = HashMap::new();
        for row in rows {
            let page = pages.entry(row.get("owner")).or_default();
            if page.len() < size {
                let username = row.get("username");
                let followers = row.get("followers_count");
                page.push((row.get("id"), UserNode { username, followers }));
            }
        }
        Ok(pages)
    }
}

async fn q1(
    State(connections): SharedConnections,
    Path(username): Path<String>,
) -> JsonResult<Timeline> {
    let connection = connections.next();
    let owner: i64 = connection.find(&username).await?.get("id");
    let owners: &[i64] = &[owner];
    let timeline = &connection.timeline;
    let mut rows = connection.client.query(timeline, &[&owners, &i64::MAX, &0i64, &21i64]).await?;
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.get::<_, i64>("post_id")));
    rows.truncate(20);
    let post = |row: &Row| Post {
        id: GlobalId::Post(row.get("post_id")).encode(),
        body: row.get("body"),
        author: Author {
            id: GlobalId::User(row.get("id")).encode(),
            username: row.get("username"),
            followers: row.get("followers_count"),
            following: row.get("following_count"),
        },
    };
    Ok(Json(Timeline { timeline: rows.iter().map(post).collect() }))
}

async fn q2(
    State(connections): SharedConnections,
    Path(username): Path<String>,
) -> JsonResult<Profile> {
    let connection = connections.next();
    let user = connection.find(&username).await?;
    let id: i64 = user.get("id");
    let owners = [id];
    let (mut followers, mut following) = tokio::try_join!(
        connection.follow_pages(&connection.followers, &owners, 20),
        connection.follow_pages(&connection.following, &owners, 20),
    )?;
    let page = |pages: &mut HashMap<i64, Vec<(i64, UserNode)>>| {
        let page = pages.remove(&id).unwrap_or_default();
        page.into_iter().map(|(_, listed)| listed).collect()
    };
    Ok(Json(Profile {
        username: user.get("username"),
        followers_count: user.get("followers_count"),
        following_count: user.get("following_count"),
        posts_count: user.get("posts_count"),
        followers: page(&mut followers),
        following: page(&mut following),
    }))
}

async fn q3(
    State(connections): SharedConnections,
    Path(username): Path<String>,
) -> JsonResult<Followers> {
    let connection = connections.next();
    let owner: i64 = connection.find(&username).await?.get("id");
    let mut pages = connection.follow_pages(&connection.followers, &[owner], 20).await?;
    let followers = pages.remove(&owner).unwrap_or_default();
    let owners: Vec<i64> = followers.iter().map(|(id, _)| *id).collect();
    let mut pages = connection.follow_pages(&connection.following, &owners, 10).await?;
    let followers = followers.into_iter().map(|(id, listed)| {
        let following = pages.remove(&id).unwrap_or_default();
        let username = |(_, listed): (i64, UserNode)| Username { username: listed.username };
        Follower {
            username: listed.username,
            following: following.into_iter().map(username).collect(),
        }
    });
    Ok(Json(Followers { followers: followers.collect() }))
}
