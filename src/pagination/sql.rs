//! SQL of keyset pages, for lists that are ordered by id with the newest row first.
//!
//! A statement reads the rows of a page and the nearest row beyond each of its cursors, in no
//! particular order. It can read the pages of several lists at once, such as the followers of many
//! users.

use super::{CursorKey as _, Direction};
use crate::database::Engine;

/// The `FROM` clause of statements that read pages of the lists of several users.
///
/// A user's list has the rows of `table` whose column `owner_column` is the user's id and that
/// satisfy `condition`, which is empty or begins with AND. The clause
/// has the tables `owner`, with the user's id as `value`, and `table`. Parameters: `$1` is the list
/// of user ids, `$2` and `$3` are [`PageRequest::bounds`](super::PageRequest::bounds), `$4` is
/// [`PageRequest::limit`](super::PageRequest::limit).
///
/// SQLite has no `LATERAL`, so the ids of the rows are found first, in an index. On PostgreSQL the
/// owners are read from their table, which costs little.
#[must_use]
pub fn page_sql(
    engine: Engine,
    table: &str,
    (owner_column, condition): (&str, &str),
    direction: Direction,
) -> String {
    let rows = key_range_sql(engine, table, Some((owner_column, condition)), direction);
    match engine {
        Engine::Sqlite => {
            format!("json_each($1) AS owner CROSS JOIN {table} WHERE {table}.id IN ({rows})")
        }
        Engine::Postgres => format!(
            "(SELECT id AS value FROM \"user\" WHERE id = ANY($1)) AS owner \
             CROSS JOIN LATERAL ({rows}) AS {table}"
        ),
    }
}

/// The `FROM` clause of a statement that reads a page of all rows of `table`.
///
/// The parameters are those of [`page_sql`], except that `$1` is `true`.
#[must_use]
pub fn all_pages_sql(engine: Engine, table: &str, direction: Direction) -> String {
    let rows = key_range_sql(engine, table, None, direction);
    match engine {
        Engine::Sqlite => format!("{table} WHERE id IN ({rows})"),
        Engine::Postgres => format!("({rows}) AS {table}"),
    }
}

/// A query for the rows of a page, of the list of `owner.value` or of all rows.
///
/// On SQLite it selects their ids only.
///
/// On PostgreSQL it also compares pairs of an owner and an id, which only the index of both can
/// look up. Without them, the planner reads the table in the order of the primary key if few owners
/// have rows: it expects to find a match soon, and the list of another owner has none.
fn key_range_sql(
    engine: Engine,
    table: &str,
    owner: Option<(&str, &str)>,
    direction: Direction,
) -> String {
    let order = match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    };
    let start = i64::start();
    let of_owner = |(column, condition)| format!("{column} = owner.value {condition}");
    let scope = owner.map_or("$1".to_owned(), of_owner);
    match (engine, owner) {
        (Engine::Sqlite, _) => format!(
            "SELECT * FROM (SELECT id FROM {table} WHERE {scope} AND id < $2 AND id > $3 \
             ORDER BY id {order} LIMIT $4) AS page \
             UNION ALL SELECT min(id) FROM {table} WHERE {scope} AND id >= $2 \
             UNION ALL SELECT max(id) FROM {table} WHERE {scope} AND id <= $3"
        ),
        (Engine::Postgres, Some((column, condition))) => format!(
            "(SELECT * FROM {table} WHERE {scope} AND id < $2 AND id > $3 \
             AND ({column}, id) < (owner.value, $2) AND ({column}, id) > (owner.value, $3) \
             ORDER BY id {order} LIMIT $4) \
             UNION ALL (SELECT * FROM {table} WHERE ({column}, id) >= (owner.value, $2) \
             AND ({column}, id) < (owner.value, {start}) AND $2 < {start} {condition} \
             ORDER BY {column}, id LIMIT 1) \
             UNION ALL (SELECT * FROM {table} WHERE ({column}, id) <= (owner.value, $3) \
             AND ({column}, id) > (owner.value, 0) AND $3 > 0 {condition} \
             ORDER BY {column} DESC, id DESC LIMIT 1)"
        ),
        (Engine::Postgres, None) => format!(
            "(SELECT * FROM {table} WHERE {scope} AND id < $2 AND id > $3 \
             ORDER BY id {order} LIMIT $4) \
             UNION ALL (SELECT * FROM {table} WHERE {scope} AND id >= $2 AND $2 < {start} \
             ORDER BY id LIMIT 1) \
             UNION ALL (SELECT * FROM {table} WHERE {scope} AND id <= $3 AND $3 > 0 \
             ORDER BY id DESC LIMIT 1)"
        ),
    }
}
