//! PostgreSQL through its plainest client.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use rookery::database::Engine;
use rookery::id::Id;
use rookery::loader::{Side, follows_sql, merge};
use rookery::page::Direction;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

use crate::answer::{Author, Follower, Followers, Listed, Named, Post, Profile, Timeline};

/// A connection with its statements prepared.
struct Session {
    client: Client,
    user: Statement,
    timeline: Statement,
    followers: Statement,
    following: Statement,
}

/// As many as the service reads with; they take turns.
const SESSIONS: usize = 4;

struct Sessions(Vec<Session>, AtomicUsize);

impl Sessions {
    fn next(&self) -> &Session {
        &self.0[self.1.fetch_add(1, Ordering::Relaxed) % SESSIONS]
    }
}

pub async fn router(url: &str) -> anyhow::Result<Router> {
    let mut sessions = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        sessions.push(Session::open(url).await?);
    }
    Ok(Router::new()
        .route("/q1/{username}", get(q1))
        .route("/q2/{username}", get(q2))
        .route("/q3/{username}", get(q3))
        .with_state(Arc::new(Sessions(sessions, AtomicUsize::new(0)))))
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

type Shared = State<Arc<Sessions>>;
type Answer<T> = Result<Json<T>, Failure>;

impl Session {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SET plan_cache_mode = force_generic_plan; SET jit = off").await?;
        let follows = |side| follows_sql(Engine::Postgres, side, Direction::Forward);
        let user = "SELECT id, username, followers_count, following_count, posts_count \
            FROM \"user\" WHERE lower(username) = lower($1)";
        Ok(Self {
            user: client.prepare(user).await?,
            timeline: client.prepare(&merge(Engine::Postgres, Direction::Forward)).await?,
            followers: client.prepare(&follows(Side::Followers)).await?,
            following: client.prepare(&follows(Side::Following)).await?,
            client,
        })
    }

    async fn find(&self, username: &str) -> Result<Row, Error> {
        self.client.query_one(&self.user, &[&username]).await
    }

    /// The newest `size` of a list of each of the `owners`: the user, with name and count of followers.
    async fn neighbours(
        &self,
        statement: &Statement,
        owners: &[i64],
        size: usize,
    ) -> Result<HashMap<i64, Vec<(i64, Listed)>>, Error> {
        let limit = i64::try_from(size).unwrap_or(i64::MAX) + 1;
        let mut found = self.client.query(statement, &[&owners, &i64::MAX, &0i64, &limit]).await?;
        found.sort_unstable_by_key(|row| std::cmp::Reverse(row.get::<_, i64>("follow_id")));
        let mut lists: HashMap<i64, Vec<(i64, Listed)>> = HashMap::new();
        for row in found {
            let list = lists.entry(row.get("owner")).or_default();
            if list.len() < size {
                let username = row.get("username");
                let followers = row.get("followers_count");
                list.push((row.get("id"), Listed { username, followers }));
            }
        }
        Ok(lists)
    }
}

async fn q1(State(sessions): Shared, Path(username): Path<String>) -> Answer<Timeline> {
    let session = sessions.next();
    let owner: i64 = session.find(&username).await?.get("id");
    let owners: &[i64] = &[owner];
    let timeline = &session.timeline;
    let mut found = session.client.query(timeline, &[&owners, &i64::MAX, &0i64, &21i64]).await?;
    found.sort_unstable_by_key(|row| std::cmp::Reverse(row.get::<_, i64>("post_id")));
    found.truncate(20);
    let post = |row: &Row| Post {
        id: Id::Post(row.get("post_id")).encode(),
        body: row.get("body"),
        author: Author {
            id: Id::User(row.get("id")).encode(),
            username: row.get("username"),
            followers: row.get("followers_count"),
            following: row.get("following_count"),
        },
    };
    Ok(Json(Timeline { timeline: found.iter().map(post).collect() }))
}

async fn q2(State(sessions): Shared, Path(username): Path<String>) -> Answer<Profile> {
    let session = sessions.next();
    let owner = session.find(&username).await?;
    let key: i64 = owner.get("id");
    let keys = [key];
    let (mut followers, mut following) = tokio::try_join!(
        session.neighbours(&session.followers, &keys, 20),
        session.neighbours(&session.following, &keys, 20),
    )?;
    let list = |found: &mut HashMap<i64, Vec<(i64, Listed)>>| {
        let list = found.remove(&key).unwrap_or_default();
        list.into_iter().map(|(_, listed)| listed).collect()
    };
    Ok(Json(Profile {
        username: owner.get("username"),
        followers_count: owner.get("followers_count"),
        following_count: owner.get("following_count"),
        posts_count: owner.get("posts_count"),
        followers: list(&mut followers),
        following: list(&mut following),
    }))
}

async fn q3(State(sessions): Shared, Path(username): Path<String>) -> Answer<Followers> {
    let session = sessions.next();
    let owner: i64 = session.find(&username).await?.get("id");
    let mut found = session.neighbours(&session.followers, &[owner], 20).await?;
    let list = found.remove(&owner).unwrap_or_default();
    let owners: Vec<i64> = list.iter().map(|(user, _)| *user).collect();
    let mut below = session.neighbours(&session.following, &owners, 10).await?;
    let followers = list.into_iter().map(|(user, listed)| {
        let following = below.remove(&user).unwrap_or_default();
        let named = |(_, listed): (i64, Listed)| Named { username: listed.username };
        Follower {
            username: listed.username,
            following: following.into_iter().map(named).collect(),
        }
    });
    Ok(Json(Followers { followers: followers.collect() }))
}
