//! The statements of a search for posts, for each engine.

use entity::user::visible_to_sql;

use crate::database::{Engine, SearchIndex};
use crate::pagination::Direction;

/// The rows that a walk looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The matches, as the index returns them.
    ///
    /// FTS5 returns them in the order of their ids, and stops at the window. GIN returns all, and
    /// the statement counts and sorts them.
    Matches,
    /// The newest posts of all users, each with its words: PostgreSQL only.
    Recent,
    /// The posts of one author.
    Author,
}

/// The statement that looks at the next rows of a walk.
///
/// Its parameters are the expression of the query, except for [`Source::Author`], then the upper
/// and the lower bound, the window, the viewer, and the author if `has_author`.
#[must_use]
pub fn sql(engine: Engine, source: Source, has_author: bool, direction: Direction) -> String {
    match (source, engine) {
        (Source::Author, _) => author_sql(engine, direction),
        (Source::Recent, _) => recent_sql(direction),
        (Source::Matches, Engine::Sqlite) => fts5_sql(has_author, direction),
        (Source::Matches, Engine::Postgres) => gin_sql(has_author, direction),
    }
}

/// The statement that reads posts by id. Its parameters are the ids and the viewer.
#[must_use]
pub fn posts_sql(engine: Engine) -> String {
    let (is_listed, is_visible) = (engine.in_list_sql("id", 1), visible_to_sql("author_id", "$2"));
    format!("SELECT post.* FROM post WHERE {is_listed} AND {is_visible}")
}

fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    }
}

/// The condition that the search shows the post whose id is the expression `id`.
///
/// A value and not EXISTS, which PostgreSQL could make a join with all posts.
fn is_shown(id: &str, has_author: bool) -> String {
    let is_visible = visible_to_sql("post.author_id", "$5");
    let is_by_author = if has_author { "AND post.author_id = $6" } else { "" };
    format!(
        "((SELECT 1 FROM post WHERE post.id = {id} {is_by_author} AND {is_visible}) IS NOT NULL)"
    )
}

/// The newest matches, in the order in which FTS5 stores them.
///
/// The subquery has a LIMIT, so SQLite does not merge it with the outer statement and begin with
/// the posts.
fn fts5_sql(has_author: bool, direction: Direction) -> String {
    let (table, order) = (SearchIndex::Posts.table(), order(direction));
    let is_shown = is_shown("hit.id", has_author);
    format!(
        "SELECT hit.id, {is_shown} AS is_shown, 0 AS total \
         FROM (SELECT rowid AS id FROM {table} WHERE {table} MATCH $1 \
           AND rowid < $2 AND rowid > $3 ORDER BY rowid {order} LIMIT $4) AS hit"
    )
}

/// The newest matches of all that the GIN index finds.
///
/// The bounds are conditions on the result of the window function. Otherwise PostgreSQL could walk
/// all posts between the bounds instead of using the index.
fn gin_sql(has_author: bool, direction: Direction) -> String {
    let (table, order) = (SearchIndex::Posts.table(), order(direction));
    let is_shown = is_shown("hit.id", has_author);
    format!(
        "SELECT hit.id, {is_shown} AS is_shown, hit.total \
         FROM (SELECT id, total FROM ( \
             SELECT id, count(*) OVER () AS total FROM {table} \
             WHERE words @@ CAST($1 AS tsquery)) AS matching \
           WHERE id < $2 AND id > $3 ORDER BY id {order} LIMIT $4) AS hit"
    )
}

/// The newest posts of all users, each compared with the query.
fn recent_sql(direction: Direction) -> String {
    let (table, order) = (SearchIndex::Posts.table(), order(direction));
    let is_shown = is_shown("recent.id", false);
    format!(
        "SELECT recent.id, (recent.words @@ CAST($1 AS tsquery) AND {is_shown}) AS is_shown, \
           CAST(0 AS bigint) AS total \
         FROM (SELECT id, words FROM {table} WHERE id < $2 AND id > $3 \
           ORDER BY id {order} LIMIT $4) AS recent"
    )
}

/// The posts of an author with their bodies, if the viewer may see them.
///
/// PostgreSQL also compares pairs, as in `pagination::page_sql`.
fn author_sql(engine: Engine, direction: Direction) -> String {
    let (order, is_visible) = (order(direction), visible_to_sql("$5", "$4"));
    let pairs = match engine {
        Engine::Sqlite => "",
        Engine::Postgres => "AND (author_id, id) < ($5, $1) AND (author_id, id) > ($5, $2)",
    };
    format!(
        "SELECT id, body FROM post WHERE author_id = $5 AND id < $1 AND id > $2 {pairs} \
         AND {is_visible} ORDER BY id {order} LIMIT $3"
    )
}
