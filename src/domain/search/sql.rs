//! The statements of a search for posts, for each engine.

use entity::user::visible_to_sql;

use crate::database::{Engine, SearchIndex};
use crate::pagination::Direction;

/// The rows that a walk looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The matches, as the index returns them.
    ///
    /// FTS5 returns them in the order of their ids, and stops at the window. GIN returns them in no
    /// order, so the statement reads all and sorts them, unless there are more than `candidates`.
    Matches { candidates: usize },
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
        (Source::Matches { .. }, Engine::Sqlite) => fts5_sql(has_author, direction),
        (Source::Matches { candidates }, Engine::Postgres) => {
            gin_sql(candidates, has_author, direction)
        }
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
/// Candidates are the posts that have all words. GIN finds these without reading a post. It does
/// not know the order of the words, so the posts are compared with phrases. The statement stops
/// after one candidate more than `candidates`. Its rows then have this `total`, and are not those
/// of the walk. A row with the id 0 has the `total` if there are no others.
///
/// The bounds are conditions on the result of the window function. Otherwise PostgreSQL could walk
/// all posts between the bounds instead of using the index.
fn gin_sql(candidates: usize, has_author: bool, direction: Direction) -> String {
    let (table, order) = (SearchIndex::Posts.table(), order(direction));
    let is_shown = is_shown("hit.id", has_author);
    let limit = candidates + 1;
    let query = "CAST(CAST($1 AS text) AS tsquery)";
    let words = "CAST(replace(CAST($1 AS text), '<->', '&') AS tsquery)";
    format!(
        "WITH counted AS MATERIALIZED ( \
           SELECT id, is_match, count(*) OVER () AS total FROM ( \
             SELECT id, words @@ {query} AS is_match FROM {table} \
             WHERE words @@ {words} LIMIT {limit}) AS candidate) \
         SELECT hit.id, (hit.total < {limit} AND {is_shown}) AS is_shown, hit.total \
         FROM (SELECT id, total FROM counted \
           WHERE total >= {limit} OR (id < $2 AND id > $3 AND is_match) \
           ORDER BY id {order} LIMIT $4) AS hit \
         UNION ALL (SELECT 0, false, total FROM counted LIMIT 1)"
    )
}

/// The newest posts of all users, each compared with the query.
///
/// The rows are those that the search shows, and the last one of the window. Their `total` is the
/// number of posts that were compared.
fn recent_sql(direction: Direction) -> String {
    let (table, order) = (SearchIndex::Posts.table(), order(direction));
    let is_shown = is_shown("recent.id", false);
    let last = match direction {
        Direction::Forward => "min",
        Direction::Backward => "max",
    };
    format!(
        "SELECT id, is_shown, total FROM ( \
           SELECT id, is_shown, count(*) OVER () AS total, {last}(id) OVER () AS last FROM ( \
             SELECT recent.id, \
               (recent.words @@ CAST($1 AS tsquery) AND {is_shown}) AS is_shown \
             FROM {table} AS recent WHERE recent.id < $2 AND recent.id > $3 \
             ORDER BY recent.id {order} LIMIT $4) AS compared) AS looked \
         WHERE is_shown OR id = last"
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
