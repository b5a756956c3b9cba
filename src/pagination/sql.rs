//! SQL of keyset pages, for lists that are ordered by id with the newest row first.
//!
//! A statement reads the rows of a page and the nearest row beyond each of its cursors, in no
//! particular order. It can read the pages of several lists at once, such as the followers of many
//! users.

use entity::user;

use super::{CursorKey as _, Direction};
use crate::database::Engine;

/// The table of users, as the parent of lists.
pub const USERS: &str = "\"user\"";

/// A list that each user or post has: rows of a table that belong to it.
#[derive(Clone, Copy, Debug)]
pub struct OwnedRows<'a> {
    /// The table of the owners, such as [`USERS`].
    pub parent: &'a str,
    pub table: &'a str,
    /// The column with the id of the owner of the list.
    pub owner: &'a str,
    /// A further condition on the rows, which begins with AND, or an empty text.
    pub condition: &'a str,
    /// The parameter with the viewer, for lists that some viewers may not see.
    ///
    /// The owners are users then. `None` for lists that only their owner reads, and for those of
    /// posts, which the viewer may see.
    pub viewer: Option<&'a str>,
}

/// The `FROM` clause of statements that read pages of the lists of several owners.
///
/// The clause has the tables `owner`, with the owner's id as `value`, and that of the list. Lists
/// that the viewer may not see have no rows. Parameters: `$1` is the list of owner ids, `$2` and
/// `$3` are [`PageRequest::bounds`](super::PageRequest::bounds), `$4` is
/// [`PageRequest::limit`](super::PageRequest::limit).
///
/// SQLite has no `LATERAL`, so the ids of the rows are found first, in an index. On PostgreSQL the
/// owners are read from their table, which costs little.
#[must_use]
pub fn page_sql(engine: Engine, list: OwnedRows<'_>, direction: Direction) -> String {
    let OwnedRows { parent, table, owner, condition, viewer } = list;
    let rows = key_range_sql(engine, table, Some(owner), condition, direction);
    let is_visible = |owner: &str| {
        viewer.map_or("true".to_owned(), |viewer| user::visible_to_sql(owner, viewer))
    };
    match engine {
        Engine::Sqlite => {
            let is_visible = is_visible("owner.value");
            format!(
                "json_each($1) AS owner CROSS JOIN {table} \
                 WHERE {is_visible} AND {table}.id IN ({rows})"
            )
        }
        Engine::Postgres => {
            let is_visible = is_visible("\"user\".id");
            format!(
                "(SELECT id AS value FROM {parent} WHERE id = ANY($1) AND {is_visible}) AS owner \
                 CROSS JOIN LATERAL ({rows}) AS {table}"
            )
        }
    }
}

/// The `FROM` clause of a statement that reads a page of the rows of a table.
///
/// `condition` begins with AND. The parameters are those of [`page_sql`], except that `$1` is
/// `true`.
#[must_use]
pub fn all_pages_sql(engine: Engine, table: &str, condition: &str, direction: Direction) -> String {
    let rows = key_range_sql(engine, table, None, condition, direction);
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
    owner: Option<&str>,
    condition: &str,
    direction: Direction,
) -> String {
    let order = match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    };
    let start = i64::start();
    let of_owner = owner.map(|column| format!("{column} = owner.value"));
    let scope = format!("{} {condition}", of_owner.as_deref().unwrap_or("$1"));
    match (engine, owner) {
        (Engine::Sqlite, _) => format!(
            "SELECT * FROM (SELECT id FROM {table} WHERE {scope} AND id < $2 AND id > $3 \
             ORDER BY id {order} LIMIT $4) AS page \
             UNION ALL SELECT min(id) FROM {table} WHERE {scope} AND id >= $2 \
             UNION ALL SELECT max(id) FROM {table} WHERE {scope} AND id <= $3"
        ),
        (Engine::Postgres, Some(column)) => format!(
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
