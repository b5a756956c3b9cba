//! The driver baseline on SQLite, through its C API.
//!
//! SQLite is read on the thread that handles the request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use rookery::database;
use rookery::database::Engine;
use rookery::ids::GlobalId;
use rookery::loaders::{ItemFilter, UserList, merge_heads, user_list_sql};
use rookery::pagination::Direction;
use rusqlite::{Connection, Params, Row};

use crate::response::{Author, Follower, Followers, Post, Profile, Timeline, UserNode, Username};

static FILE: OnceLock<PathBuf> = OnceLock::new();

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// The routes. Each thread opens its connection with its first request.
///
/// # Errors
/// When the database does not exist.
pub fn router(url: &str) -> anyhow::Result<Router> {
    let file = FILE.get_or_init(|| database::database_path(url).unwrap_or_default());
    anyhow::ensure!(file.exists(), "there is no database at {}", file.display());
    Ok(Router::new()
        .route("/q1/{username}", get(async |Path(name): Path<String>| respond(q1, &name)))
        .route("/q2/{username}", get(async |Path(name): Path<String>| respond(q2, &name)))
        .route("/q3/{username}", get(async |Path(name): Path<String>| respond(q3, &name))))
}

type JsonResult<T> = Result<Json<T>, (StatusCode, String)>;

/// Runs a query in one read transaction, as Rookery does.
fn respond<T>(
    query: fn(&Connection, &str) -> rusqlite::Result<T>,
    username: &str,
) -> JsonResult<T> {
    let read = |connection: &mut Option<Connection>| {
        if connection.is_none() {
            *connection = Some(open()?);
        }
        let Some(connection) = connection else { return Err(rusqlite::Error::InvalidQuery) };
        connection.prepare_cached("BEGIN")?.execute([])?;
        let result = query(connection, username);
        connection.prepare_cached("ROLLBACK")?.execute([])?;
        result
    };
    let result = CONNECTION.with_borrow_mut(read);
    result.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
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

/// Id and profile of a user. The lists of the profile are empty.
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
    let sql = merge_heads(Engine::Sqlite, ItemFilter::default(), Direction::Forward);
    let mut posts = rows(connection, &sql, (format!("[{owner}]"), i64::MAX, 0, 21), |row| {
        let author: i64 = row.get("id")?;
        let post: i64 = row.get("post_id")?;
        let author = Author {
            id: GlobalId::User(author).encode(),
            username: row.get("username")?,
            followers: row.get("followers_count")?,
            following: row.get("following_count")?,
        };
        Ok((post, Post { id: GlobalId::Post(post).encode(), body: row.get("body")?, author }))
    })?;
    posts.sort_unstable_by_key(|(post, _)| std::cmp::Reverse(*post));
    posts.truncate(20);
    Ok(Timeline { timeline: posts.into_iter().map(|(_, post)| post).collect() })
}

/// The `size` newest entries of a follow list of each owner, with the users' ids.
fn follow_pages(
    connection: &Connection,
    list: UserList,
    owners: &[i64],
    size: u32,
) -> rusqlite::Result<HashMap<i64, Vec<(i64, UserNode)>>> {
    let owners = serde_json::json!(owners).to_string();
    let sql = user_list_sql(Engine::Sqlite, list, Direction::Forward);
    // SQLite numbers parameters such as $5 in the order of their first use: the viewer is second.
    let mut entries = rows(connection, &sql, (owners, 0, i64::MAX, 0, size + 1), |row| {
        let listed =
            UserNode { username: row.get("username")?, followers: row.get("followers_count")? };
        let key: (i64, i64) = (row.get("owner")?, row.get("entry_id")?);
        Ok((key, row.get("id")?, listed))
    })?;
    entries.sort_unstable_by_key(|((_, entry_id), ..)| std::cmp::Reverse(*entry_id));
    let mut pages: HashMap<i64, Vec<(i64, UserNode)>> = HashMap::new();
    for ((owner, _), id, listed) in entries {
        let page = pages.entry(owner).or_default();
        if page.len() < size as usize {
            page.push((id, listed));
        }
    }
    Ok(pages)
}

fn q2(connection: &Connection, username: &str) -> rusqlite::Result<Profile> {
    let (owner, profile) = find(connection, username)?;
    let page = |list| -> rusqlite::Result<Vec<UserNode>> {
        let mut pages = follow_pages(connection, list, &[owner], 20)?;
        let page = pages.remove(&owner).unwrap_or_default();
        Ok(page.into_iter().map(|(_, listed)| listed).collect())
    };
    Ok(Profile {
        followers: page(UserList::Followers)?,
        following: page(UserList::Following)?,
        ..profile
    })
}

fn q3(connection: &Connection, username: &str) -> rusqlite::Result<Followers> {
    let (owner, _) = find(connection, username)?;
    let mut pages = follow_pages(connection, UserList::Followers, &[owner], 20)?;
    let followers = pages.remove(&owner).unwrap_or_default();
    let owners: Vec<i64> = followers.iter().map(|(id, _)| *id).collect();
    let mut pages = follow_pages(connection, UserList::Following, &owners, 10)?;
    let followers = followers.into_iter().map(|(id, listed)| {
        let following = pages.remove(&id).unwrap_or_default();
        let username = |(_, listed): (i64, UserNode)| Username { username: listed.username };
        Follower {
            username: listed.username,
            following: following.into_iter().map(username).collect(),
        }
    });
    Ok(Followers { followers: followers.collect() })
}
