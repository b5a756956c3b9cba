//! Indexes set aside while a command fills a table: rows then come in at the speed of the disk, and
//! an index made in one go is quicker (and smaller) than one that grows in random places.
//!
//! All inside the command's transaction: nobody else ever sees the table without them. Not on PostgreSQL,
//! where dropping one locks out everybody who reads.

use sea_orm::{DbErr, FromQueryResult};

use super::bulk::Bulk;
use crate::database::Engine;

/// Which indexes a command can do without while it writes.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    All,
    /// Those that only find rows, and keep none out.
    NotUnique,
}

/// Indexes that wait to be put back, as SQL.
#[derive(Debug)]
#[must_use]
pub struct SetAside(Vec<String>);

/// Drops the indexes of `table` until [`SetAside::put_back`]. Leaves them when the table has more
/// rows than are `coming`: making them anew would take longer than it saves.
pub async fn set_aside(
    bulk: &Bulk<'_>,
    table: &'static str,
    which: Which,
    coming: u64,
) -> Result<SetAside, DbErr> {
    #[derive(FromQueryResult)]
    struct Index {
        name: String,
        sql: String,
    }
    const FIND: &str = r#"
        SELECT list.name AS name, sql FROM pragma_index_list($1) AS list
        JOIN sqlite_schema ON sqlite_schema.name = list.name
        WHERE sql IS NOT NULL AND "unique" <= $2 ORDER BY list.seq"#;
    if bulk.engine() == Engine::Postgres {
        return Ok(SetAside(Vec::new()));
    }
    let there = bulk.number(&format!("SELECT count(*) AS number FROM {table}"), []).await?;
    if there.unsigned_abs() > coming {
        return Ok(SetAside(Vec::new()));
    }
    let unique = i64::from(matches!(which, Which::All));
    let indexes = bulk.rows::<Index>(FIND, [table.into(), unique.into()]).await?;
    for index in &indexes {
        bulk.execute(&format!("DROP INDEX {}", index.name), []).await?;
    }
    Ok(SetAside(indexes.into_iter().map(|index| index.sql).collect()))
}

impl SetAside {
    pub async fn put_back(self, bulk: &Bulk<'_>) -> Result<(), DbErr> {
        for sql in self.0 {
            bulk.execute(&sql, []).await?;
        }
        Ok(())
    }
}
