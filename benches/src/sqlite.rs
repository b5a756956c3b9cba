//! SQLite through its C API, on the thread that answers the request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use rookery::database::{self, Engine};
use rookery::id::Id;
use rookery::loader::{Side, follows_sql, merge};
use rookery::page::Direction;
use rusqlite::{Connection, Params, Row};

use crate::answer::{Author, Follower, Followers, Listed, Named, Post, Profile, Timeline};

static FILE: OnceLock<PathBuf> = OnceLock::new();

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

pub fn router(url: &str) -> anyhow::Result<Router> {
    let file = FILE.get_or_init(|| database::file(url).unwrap_or_default());
    anyhow::ensure!(file.exists(), "there is no database at {}", file.display());
    Ok(Router::new()
        .route("/q1/{username}", get(async |Path(name): Path<String>| answer(q1, &name)))
        .route("/q2/{username}", get(async |Path(name): Path<String>| answer(q2, &name)))
        .route("/q3/{username}", get(async |Path(name): Path<String>| answer(q3, &name))))
}

type Answer<T> = Result<Json<T>, (StatusCode, String)>;

/// One moment of the database, as the service reads it.
fn answer<T>(query: fn(&Connection, &str) -> rusqlite::Result<T>, username: &str) -> Answer<T> {
    let read = |connection: &mut Option<Connection>| {
        if connection.is_none() {
            *connection = Some(open()?);
        }
        let Some(connection) = connection else { return Err(rusqlite::Error::InvalidQuery) };
        connection.prepare_cached("BEGIN")?.execute([])?;
        let answer = query(connection, username);
        connection.prepare_cached("ROLLBACK")?.execute([])?;
        answer
    };
    let answer = CONNECTION.with_borrow_mut(read);
    answer.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn open() -> rusqlite::Result<Connection> {
    let connection = Connection::open(FILE.get().cloned().unwrap_or_default())?;
    connection.pragma_update(None, "mmap_size", 2_147_418_112)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(parameters, row)?.collect()
}

fn find(connection: &Connection, username: &str) -> rusqlite::Result<(i64, Profile)> {
    let sql = "SELECT id, username, followers_count, following_count, posts_count \
        FROM \"user\" WHERE lower(username) = lower(?1)";
    connection.prepare_cached(sql)?.query_one([username], |row| {
        let profile = Profile {
            username: row.get(1)?,
            followers_count: row.get(2)?,
            following_count: row.get(3)?,
            posts_count: row.get(4)?,
            followers: vec![],
            following: vec![],
        };
        Ok((row.get(0)?, profile))
    })
}

fn q1(connection: &Connection, username: &str) -> rusqlite::Result<Timeline> {
    let (owner, _) = find(connection, username)?;
    let sql = merge(Engine::Sqlite, Direction::Forward);
    let mut found = rows(connection, &sql, (format!("[{owner}]"), i64::MAX, 0, 21), |row| {
        let author: i64 = row.get("id")?;
        let post: i64 = row.get("post_id")?;
        let author = Author {
            id: Id::User(author).encode(),
            username: row.get("username")?,
            followers: row.get("followers_count")?,
            following: row.get("following_count")?,
        };
        Ok((post, Post { id: Id::Post(post).encode(), body: row.get("body")?, author }))
    })?;
    found.sort_unstable_by_key(|(post, _)| std::cmp::Reverse(*post));
    found.truncate(20);
    Ok(Timeline { timeline: found.into_iter().map(|(_, post)| post).collect() })
}

/// The newest `size` of a list of each of the `owners`: the user, with name and count of followers.
fn neighbours(
    connection: &Connection,
    side: Side,
    owners: &[i64],
    size: u32,
) -> rusqlite::Result<HashMap<i64, Vec<(i64, Listed)>>> {
    let owners = serde_json::json!(owners).to_string();
    let sql = follows_sql(Engine::Sqlite, side, Direction::Forward);
    let mut found = rows(connection, &sql, (owners, i64::MAX, 0, size + 1), |row| {
        let listed =
            Listed { username: row.get("username")?, followers: row.get("followers_count")? };
        let place: (i64, i64) = (row.get("owner")?, row.get("follow_id")?);
        Ok((place, row.get("id")?, listed))
    })?;
    found.sort_unstable_by_key(|((_, follow), ..)| std::cmp::Reverse(*follow));
    let mut lists: HashMap<i64, Vec<(i64, Listed)>> = HashMap::new();
    for ((owner, _), user, listed) in found {
        let list = lists.entry(owner).or_default();
        if list.len() < size as usize {
            list.push((user, listed));
        }
    }
    Ok(lists)
}

fn q2(connection: &Connection, username: &str) -> rusqlite::Result<Profile> {
    let (owner, profile) = find(connection, username)?;
    let list = |side| -> rusqlite::Result<Vec<Listed>> {
        let mut found = neighbours(connection, side, &[owner], 20)?;
        let list = found.remove(&owner).unwrap_or_default();
        Ok(list.into_iter().map(|(_, listed)| listed).collect())
    };
    Ok(Profile { followers: list(Side::Followers)?, following: list(Side::Following)?, ..profile })
}

fn q3(connection: &Connection, username: &str) -> rusqlite::Result<Followers> {
    let (owner, _) = find(connection, username)?;
    let mut found = neighbours(connection, Side::Followers, &[owner], 20)?;
    let list = found.remove(&owner).unwrap_or_default();
    let owners: Vec<i64> = list.iter().map(|(user, _)| *user).collect();
    let mut below = neighbours(connection, Side::Following, &owners, 10)?;
    let followers = list.into_iter().map(|(user, listed)| {
        let following = below.remove(&user).unwrap_or_default();
        let named = |(_, listed): (i64, Listed)| Named { username: listed.username };
        Follower {
            username: listed.username,
            following: following.into_iter().map(named).collect(),
        }
    });
    Ok(Followers { followers: followers.collect() })
}
