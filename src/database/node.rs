//! The number of this instance among all that work on one database: part of every key it makes, so that
//! no two make the same.
//!
//! On PostgreSQL it is an advisory lock, held by a connection of its own for as long as the
//! instance runs; when that connection breaks, it is taken anew, or another number is. On SQLite
//! there is one instance, which the lock beside the file sees to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use tokio::time::timeout;

/// The first key of the advisory locks on numbers; the second is the number.
pub const LOCKS: i32 = 0x726f_6f6b;
/// The last number that an instance can have; the next is that of commands.
const LAST: u8 = 254;
/// How often the connection is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// It is broken when it does not answer within this time.
const ANSWER: Duration = Duration::from_secs(5);

/// Cheap to clone; all clones have the same number at any moment.
#[derive(Clone, Debug)]
pub struct Node(Arc<AtomicU8>);

impl Node {
    /// A number that somebody else sees to: one process on a file, or an operator behind a pooler.
    #[must_use]
    pub fn fixed(number: u8) -> Self {
        Self(Arc::new(AtomicU8::new(number)))
    }

    #[must_use]
    pub fn number(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes a number, the first that is free if none is wanted, and keeps it while anybody has this
    /// node.
    pub(super) async fn take(options: PgConnectOptions, wanted: Option<u8>) -> Result<Self> {
        let (holder, number) = hold(&options, wanted, 0).await?;
        tracing::debug!(number, "the number of this instance");
        let node = Self::fixed(number);
        tokio::spawn(node.clone().keep(options, wanted, holder));
        Ok(node)
    }

    async fn keep(self, options: PgConnectOptions, wanted: Option<u8>, mut holder: PgConnection) {
        while Arc::strong_count(&self.0) > 1 {
            tokio::time::sleep(EVERY).await;
            if matches!(timeout(ANSWER, holder.ping()).await, Ok(Ok(()))) {
                continue;
            }
            let again = timeout(ANSWER, hold(&options, wanted, self.number())).await;
            if let Ok(Ok((next, number))) = again {
                tracing::warn!(number, "the number of this instance had to be taken anew");
                self.0.store(number, Ordering::Relaxed);
                holder = next;
            }
        }
    }
}

/// A connection that holds a number: the wanted one, which others who want it may have too, or else the
/// first that nobody has, from `first` on.
async fn hold(
    options: &PgConnectOptions,
    wanted: Option<u8>,
    first: u8,
) -> Result<(PgConnection, u8)> {
    let mut holder = options.connect().await?;
    if let Some(number) = wanted {
        let free = lock(&mut holder, "SELECT pg_try_advisory_lock_shared($1, $2)", number).await?;
        ensure!(free, "another instance has the number {number}");
        return Ok((holder, number));
    }
    for number in (first..=LAST).chain(0..first) {
        if lock(&mut holder, "SELECT pg_try_advisory_lock($1, $2)", number).await? {
            return Ok((holder, number));
        }
    }
    bail!("all 255 instance numbers are taken")
}

async fn lock(holder: &mut PgConnection, sql: &'static str, number: u8) -> Result<bool> {
    let locked = sqlx::query_scalar(sql).bind(LOCKS).bind(i32::from(number));
    Ok(locked.fetch_one(holder).await?)
}
