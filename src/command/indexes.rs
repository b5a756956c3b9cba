//! Drops the indexes of a table for the time of a bulk write, on SQLite.
//!
//! Without indexes, rows are appended at the speed of the disk. An index that is created in one
//! pass takes less time and space than one that grows in random order. Both happen in the
//! transaction of the command, so no other connection sees the table without its indexes. On
//! PostgreSQL the indexes stay, because `DROP INDEX` would lock out all readers of the table.

use sea_orm::{DbErr, FromQueryResult};

use super::bulk::Bulk;
use crate::database::Engine;

/// The indexes that a command does not need while it writes.
#[derive(Clone, Copy, Debug)]
pub enum IndexSet {
    All,
    /// Indexes without a uniqueness constraint.
    NotUnique,
}

/// Dropped indexes, as the SQL that creates them.
#[derive(Debug)]
#[must_use]
pub struct DroppedIndexes(Vec<String>);

/// Drops the indexes of `table` until [`DroppedIndexes::recreate`].
///
/// If the table has more rows than `new_rows`, they stay: to create them anew would take longer
/// than it saves.
pub async fn drop_indexes(
    bulk: &Bulk<'_>,
    table: &'static str,
    which: IndexSet,
    new_rows: u64,
) -> Result<DroppedIndexes, DbErr> {
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
        return Ok(DroppedIndexes(Vec::new()));
    }
    let existing = bulk.number(&format!("SELECT count(*) AS number FROM \"{table}\""), []).await?;
    if existing.unsigned_abs() > new_rows {
        return Ok(DroppedIndexes(Vec::new()));
    }
    let max_unique = i64::from(matches!(which, IndexSet::All));
    let indexes = bulk.rows::<Index>(FIND, [table.into(), max_unique.into()]).await?;
    for index in &indexes {
        bulk.execute(&format!("DROP INDEX {}", index.name), []).await?;
    }
    Ok(DroppedIndexes(indexes.into_iter().map(|index| index.sql).collect()))
}

impl DroppedIndexes {
    /// Creates the indexes again.
    pub async fn recreate(self, bulk: &Bulk<'_>) -> Result<(), DbErr> {
        for sql in self.0 {
            bulk.execute(&sql, []).await?;
        }
        Ok(())
    }
}
