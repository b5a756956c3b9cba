//! `rookery copy`: copies a database into an empty one.
//!
//! Each of the two may use either engine. Every row keeps its id. The source is read from one
//! snapshot and may be in use. The target is written in one transaction. Afterwards it is checked
//! as by `doctor`.

#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use entity::{TABLES, Table, for_each_table};
use futures_util::future::join;
use indicatif::ProgressBar;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, DbErr, EntityTrait, FromQueryResult,
    IdenStatic as _, IntoActiveModel, Iterable as _, ModelTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Value,
};

use super::bulk::{Bulk, ROWS_PER_STATEMENT};
use super::doctor::{self, Report};
use super::indexes::{self, IndexSet};
use super::progress;
use crate::config::PoolOptions;
use crate::database::{Database, Snapshot};

/// Largest number of parameters of a statement on SQLite.
///
/// PostgreSQL allows twice as many.
const MAX_PARAMETERS: usize = 32_766;

/// The source and the target of a copy.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct CopyOptions {
    /// URL of the database to read, which may be in use
    #[arg(long, env = "ROOKERY_COPY_FROM", hide_env_values = true, value_name = "URL")]
    pub from: String,

    /// URL of the empty database to fill; a missing SQLite file is created
    #[arg(long, env = "ROOKERY_COPY_TO", hide_env_values = true, value_name = "URL")]
    pub to: String,

    #[command(flatten)]
    pub pool: PoolOptions,
}

/// The number of rows of each table, in the order of [`TABLES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary(pub Vec<(&'static str, i64)>);

impl Summary {
    /// The number of rows of a table.
    fn rows(&self, table: &str) -> u64 {
        let found = self.0.iter().find(|(name, _)| *name == table);
        found.map_or(0, |(_, rows)| rows.unsigned_abs())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |name: &str| match name.strip_suffix("ty") {
            Some(start) => format!("{start}ties"),
            None => name.replace('_', " ") + "s",
        };
        let tables = self.0.iter().map(|(name, rows)| format!("{rows} {}", plural(name)));
        write!(out, "{}", tables.collect::<Vec<_>>().join(", "))
    }
}

/// Copies all tables in one transaction, and checks the target.
///
/// Both databases must have the schema of this version.
///
/// # Errors
/// When the target is not empty; any error of either database.
pub async fn run(
    from: &Database,
    to: &Database,
    progress: &ProgressBar,
) -> Result<(Summary, Report)> {
    let summary = copy_tables(from, to, progress).await?;
    Ok((summary, doctor::run(to, false, progress).await?))
}

async fn copy_tables(from: &Database, to: &Database, progress: &ProgressBar) -> Result<Summary> {
    let source = Snapshot::without_timeouts(from).await.context("cannot read the source")?;
    let counted = source.all_unmetered::<RowCount>(&count_sql()).await;
    let expected = summary(&counted.context("cannot count the rows of the source")?)?;
    progress::rows(progress, expected.0.iter().map(|(_, rows)| rows.unsigned_abs()).sum());
    let copy = Copy { source, bulk: Bulk::begin(to).await?, progress };
    for (table, rows) in copy.count_target().await?.0 {
        let empty = "the target must be empty, and nothing was copied";
        ensure!(rows == 0, "the target's table '{table}' has {rows} rows: {empty}");
    }
    for_each_table!(E, table => {
        copy.table::<E>(table, expected.rows(table.name)).await?;
    });
    let copied = copy.count_target().await?;
    ensure!(copied == expected, "nothing was copied: only {copied} of {expected} were written");
    copy.bulk.analyze().await.context("cannot analyze the tables")?;
    copy.bulk.commit().await?;
    Ok(expected)
}

/// The state of a copy.
struct Copy<'a> {
    source: Snapshot,
    bulk: Bulk<'a>,
    progress: &'a ProgressBar,
}

impl Copy<'_> {
    /// Copies a table of `rows` rows in the order of its ids.
    async fn table<E>(&self, table: &Table, rows: u64) -> Result<()>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<E::ActiveModel>,
    {
        let name = table.name;
        let cannot = |what| format!("nothing was copied: cannot {what} the table '{name}'");
        let local: Vec<E::Column> =
            E::Column::iter().filter(|c| table.local_columns.contains(&c.as_str())).collect();
        let id = E::Column::iter().find(|column| column.as_str() == "id");
        let id = id.context("the table has no id")?;
        self.progress.set_message(name);
        let indexes = indexes::drop_indexes(&self.bulk, name, IndexSet::All, rows);
        let indexes = indexes.await.with_context(|| cannot("prepare"))?;
        let mut rows = self.read::<E>(id, None).await.with_context(|| cannot("read"))?;
        while let Some(last) = rows.last() {
            let next = self.read::<E>(id, Some(last.get(id)));
            self.progress.inc(rows.len() as u64);
            let copies = rows.into_iter().map(|row| {
                let mut row = row.into_active_model();
                for column in &local {
                    row.not_set(*column);
                }
                row
            });
            let (next, written) = join(next, self.bulk.add::<E>(copies)).await;
            written.with_context(|| cannot("write"))?;
            rows = next.with_context(|| cannot("read"))?;
        }
        indexes.recreate(&self.bulk).await.with_context(|| cannot("index"))
    }

    /// The next rows after the id `last`, at most as many as a statement can write.
    async fn read<E: EntityTrait>(
        &self,
        id: E::Column,
        last: Option<Value>,
    ) -> Result<Vec<E::Model>, DbErr> {
        let max = ROWS_PER_STATEMENT.min(MAX_PARAMETERS / E::Column::iter().count());
        let after = Condition::all().add_option(last.map(|last| id.gt(last)));
        let rows = E::find().filter(after).order_by_asc(id).limit(max as u64);
        rows.all(&**self.source.transaction().await?).await
    }

    /// The number of rows of each table of the target, within the transaction.
    async fn count_target(&self) -> Result<Summary> {
        let counted = self.bulk.rows::<RowCount>(&count_sql(), []).await;
        summary(&counted.context("cannot count the rows of the target")?)
    }
}

#[derive(FromQueryResult)]
struct RowCount {
    name: String,
    count: i64,
}

/// SQL that counts the rows of each table.
fn count_sql() -> String {
    let counts = TABLES.iter().map(|Table { name, .. }| {
        format!(r#"SELECT '{name}' AS name, count(*) AS count FROM "{name}""#)
    });
    counts.collect::<Vec<_>>().join(" UNION ALL ")
}

/// The counts in the order of [`TABLES`].
fn summary(counted: &[RowCount]) -> Result<Summary> {
    let rows = |name| counted.iter().find(|row| row.name == name).map(|row| (name, row.count));
    let all = TABLES.iter().map(|table| rows(table.name).context("a table was not counted"));
    all.collect::<Result<_>>().map(Summary)
}
