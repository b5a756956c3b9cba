//! `copy`: all that is in one database into another, whichever engines they are on: every row with its
//! key, or nothing.
//!
//! The source is read at one moment and may be served meanwhile. The target must be empty; it is written
//! in one transaction, and the doctor looks it over afterwards.

#[cfg(test)]
mod tests;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use entity::{bookmark, follow, post, session, user};
use futures_util::future::join;
use indicatif::ProgressBar;
use sea_orm::{
    ColumnTrait as _, Condition, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    Iterable as _, ModelTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Set,
    Value,
};

use super::bulk::{Bulk, CHUNK};
use super::doctor::{self, Report};
use super::indexes::{self, Which};
use super::progress;
use crate::config::Connections;
use crate::database::{Database, Snapshot};

/// SQLite takes no more parameters with one statement; PostgreSQL takes twice as many.
const MOST_PARAMETERS: usize = 32_766;

/// What to copy where.
#[derive(Args, Clone, Debug)]
pub struct Route {
    /// Address of the database to read; it may be served meanwhile
    #[arg(long, env = "ROOKERY_COPY_FROM", hide_env_values = true, value_name = "URL")]
    pub from: String,

    /// Address of the database to fill, which must be empty; an SQLite file is made when there is none
    #[arg(long, env = "ROOKERY_COPY_TO", hide_env_values = true, value_name = "URL")]
    pub to: String,

    #[command(flatten)]
    pub connections: Connections,
}

/// How many rows of each table there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Summary {
    pub users: i64,
    pub sessions: i64,
    pub follows: i64,
    pub posts: i64,
    pub bookmarks: i64,
}

const COUNT: &str = r#"
    SELECT (SELECT count(*) FROM "user") AS users, (SELECT count(*) FROM session) AS sessions,
        (SELECT count(*) FROM follow) AS follows, (SELECT count(*) FROM post) AS posts,
        (SELECT count(*) FROM bookmark) AS bookmarks"#;

impl Summary {
    fn tables(&self) -> [(&'static str, i64); 5] {
        [
            ("user", self.users),
            ("session", self.sessions),
            ("follow", self.follows),
            ("post", self.posts),
            ("bookmark", self.bookmarks),
        ]
    }
}

/// Copies everything, or nothing, between databases whose tables are in this version's form; then
/// examines the target.
///
/// # Errors
/// When the target is not empty, or when one of the databases refuses.
pub async fn run(
    from: &Database,
    to: &Database,
    progress: &ProgressBar,
) -> Result<(Summary, Report)> {
    let summary = everything(from, to, progress).await?;
    Ok((summary, doctor::run(to, false, progress).await?))
}

async fn everything(from: &Database, to: &Database, progress: &ProgressBar) -> Result<Summary> {
    let source = Snapshot::patient(from).await.context("cannot read the source")?;
    let counted = source.all::<Summary, _>(COUNT, []).await.context("cannot count the rows")?;
    let there = counted.first().copied().unwrap_or_default();
    progress::rows(progress, there.tables().iter().map(|(_, rows)| rows.unsigned_abs()).sum());
    let copy = Copy { source, bulk: Bulk::begin(to).await?, progress };
    for (table, rows) in copy.arrived().await?.tables() {
        let empty = "the target must be empty, and nothing was copied";
        ensure!(rows == 0, "the target's table '{table}' has {rows} rows: {empty}");
    }
    copy.table::<user::Entity>(user::Column::Id, there.users, |_| {}).await?;
    // What it says is a place in the source's own log.
    let forget = |session: &mut session::ActiveModel| session.lsn = Set(None);
    copy.table::<session::Entity>(session::Column::Id, there.sessions, forget).await?;
    copy.table::<follow::Entity>(follow::Column::Id, there.follows, |_| {}).await?;
    copy.table::<post::Entity>(post::Column::Id, there.posts, |_| {}).await?;
    copy.table::<bookmark::Entity>(bookmark::Column::Id, there.bookmarks, |_| {}).await?;
    let arrived = copy.arrived().await?;
    ensure!(arrived == there, "nothing was copied: of {there:?} only {arrived:?} arrived");
    copy.bulk.analyze().await.context("cannot look the rows over")?;
    copy.bulk.commit().await?;
    Ok(there)
}

struct Copy<'a> {
    source: Snapshot,
    bulk: Bulk<'a>,
    progress: &'a ProgressBar,
}

impl Copy<'_> {
    /// Copies a table of so many rows in the order of its keys, and changes each on the way.
    async fn table<E>(
        &self,
        key: E::Column,
        rows: i64,
        change: impl Fn(&mut E::ActiveModel),
    ) -> Result<()>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<E::ActiveModel>,
    {
        let table = E::default().table_name();
        let cannot = |what| format!("nothing was copied: cannot {what} the table '{table}'");
        self.progress.set_message(table);
        let indexes = indexes::set_aside(&self.bulk, table, Which::All, rows.unsigned_abs());
        let indexes = indexes.await.with_context(|| cannot("prepare"))?;
        let mut rows = self.read::<E>(key, None).await.with_context(|| cannot("read"))?;
        while let Some(last) = rows.last() {
            let next = self.read::<E>(key, Some(last.get(key)));
            self.progress.inc(rows.len() as u64);
            let changed = rows.into_iter().map(|row| {
                let mut row = row.into_active_model();
                change(&mut row);
                row
            });
            let (next, written) = join(next, self.bulk.add::<E>(changed)).await;
            written.with_context(|| cannot("write"))?;
            rows = next.with_context(|| cannot("read"))?;
        }
        indexes.put_back(&self.bulk).await.with_context(|| cannot("index"))
    }

    /// The rows after `last`, as many as one statement can write.
    async fn read<E: EntityTrait>(
        &self,
        key: E::Column,
        last: Option<Value>,
    ) -> Result<Vec<E::Model>, DbErr> {
        let most = CHUNK.min(MOST_PARAMETERS / E::Column::iter().count());
        let after = Condition::all().add_option(last.map(|last| key.gt(last)));
        let rows = E::find().filter(after).order_by_asc(key).limit(most as u64);
        rows.all(&**self.source.get().await?).await
    }

    /// What the target has.
    async fn arrived(&self) -> Result<Summary> {
        let counted = self.bulk.rows::<Summary>(COUNT, []).await;
        let counted = counted.context("cannot count the target's rows")?;
        Ok(counted.first().copied().unwrap_or_default())
    }
}
