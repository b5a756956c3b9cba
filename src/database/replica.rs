//! Read replicas: servers that follow the primary's write-ahead log. A task for each asks how far it has
//! come; a reader is sent there only when that is far enough. What was asked a moment ago is still
//! true: a replica does not go back, and one that is ahead of the primary is not used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use sea_orm::sqlx::{self, PgPool};
use tokio::time::timeout;

use super::lsn::Lsn;
use super::postgres::{self, Patience, Purpose};
use super::reader::Reader;

/// How often a replica is asked how far it has come.
const EVERY: Duration = Duration::from_millis(100);
/// A replica that does not answer within this time is left alone until it does.
const ANSWER: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub reader: Reader,
    /// A connection for the watch alone, which waits for no reader.
    watch: PgPool,
    address: String,
    /// How far it has replayed the log; 0 while it cannot be used.
    replayed: Arc<AtomicU64>,
}

impl Replica {
    /// Behind `url`, which need not be there yet. Settings may be dropped on the way there.
    pub fn new(url: &str, size: u32, patience: Patience) -> Result<Self> {
        let options = postgres::options(url)?;
        let address = postgres::address(&options);
        let watch = postgres::pool(options.clone(), 1, patience, Purpose::Read);
        let pool = postgres::pool(options, size, patience, Purpose::Read);
        let reader = Reader { connection: postgres::connection(pool), settled: false };
        Ok(Self { reader, watch, address, replayed: Arc::default() })
    }

    /// Whether it has everything up to `lsn`.
    pub fn has(&self, lsn: Lsn) -> bool {
        let replayed = self.replayed.load(Ordering::Relaxed);
        replayed > 0 && replayed >= lsn.0
    }

    /// Watches the replica until its pool is closed. It is used once it has caught up with the primary,
    /// and no longer when it stays behind for more than `max_lag`.
    pub fn watch(&self, primary: PgPool, max_lag: Duration) {
        let replica = self.clone();
        tokio::spawn(async move {
            let pool = replica.reader.connection.get_postgres_connection_pool();
            let mut goal = ask(&primary, WRITTEN).await.unwrap_or_default();
            let mut reached: Option<Instant> = None;
            while !pool.is_closed() {
                let mut replayed = replica.ask().await;
                if replayed >= goal {
                    reached = Some(Instant::now());
                    // A primary that is gone leaves its replicas as good as they can be.
                    goal = ask(&primary, WRITTEN).await.unwrap_or(goal.max(replayed));
                }
                if replayed > goal || reached.is_none_or(|reached| reached.elapsed() > max_lag) {
                    // Too far behind; or ahead, and so no replica of this primary.
                    replayed = Lsn::default();
                }
                replica.note(replayed);
                tokio::time::sleep(EVERY).await;
            }
        });
    }

    /// How far it has come; nowhere when it does not answer or is no replica.
    async fn ask(&self) -> Lsn {
        ask(&self.watch, REPLAYED).await.unwrap_or_else(|reason| {
            tracing::debug!(replica = self.address, reason, "the replica does not answer");
            Lsn::default()
        })
    }

    fn note(&self, now: Lsn) {
        let before = self.replayed.swap(now.0, Ordering::Relaxed);
        match (before, now.0) {
            (0, 1..) => tracing::info!(replica = self.address, "the replica is used"),
            (1.., 0) => tracing::warn!(replica = self.address, "the replica is not used"),
            _ => {}
        }
    }
}

const REPLAYED: &str = "SELECT CASE WHEN pg_is_in_recovery() \
    THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint ELSE 0 END";
/// What is on the primary's disk, and so on its way.
const WRITTEN: &str = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint";

async fn ask(pool: &PgPool, sql: &'static str) -> Result<Lsn, String> {
    match timeout(ANSWER, sqlx::query_scalar::<_, i64>(sql).fetch_one(pool)).await {
        Ok(Ok(lsn)) => Ok(Lsn::stored(lsn)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it takes too long".to_owned()),
    }
}
