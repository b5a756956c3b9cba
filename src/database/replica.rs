//! Read replicas: PostgreSQL standbys, which replay the primary's WAL.
//!
//! A task per replica polls the LSN that it has replayed. A request reads from a replica only if
//! the replica has replayed the LSN that the request needs. The polled LSN stays valid as a lower
//! bound, because a replica does not go back. A replica that is ahead of the primary follows
//! another primary and is not used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use sea_orm::sqlx::{self, PgPool};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr};
use tokio::time::timeout;

use super::open::timeouts;
use super::postgres::{self, Purpose, Timeouts};
use super::read_pool::ReadPool;
use super::{Database, Lsn};
use crate::config::DatabaseConfig;

/// Interval between queries of the LSN that a replica has replayed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Longest wait for the response to such a query.
///
/// A replica that exceeds it is not used until it responds again.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// A replica and what it has replayed. Clones share the state.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub reader: ReadPool,
    /// One connection for the monitor, so that it never waits for a request.
    monitor_pool: PgPool,
    address: String,
    /// The LSN that the replica has replayed; 0 while it is not used.
    replayed: Arc<AtomicU64>,
}

impl Replica {
    /// The replica at `url`, which may be down.
    ///
    /// It is treated as if behind a connection pooler, because it is not contacted yet.
    ///
    /// # Errors
    /// When the URL is not valid.
    pub fn new(url: &str, size: u32, timeouts: Timeouts) -> Result<Self> {
        let options = postgres::options(url)?;
        let address = postgres::address(&options);
        let monitor_pool = postgres::pool(options.clone(), 1, timeouts, Purpose::Read);
        let connection =
            postgres::connection(postgres::pool(options, size, timeouts, Purpose::Read));
        let reader = ReadPool::new(connection, size, timeouts.acquire).with_startup_options(false);
        Ok(Self { reader, monitor_pool, address, replayed: Arc::default() })
    }

    /// Whether the replica is used and has replayed the WAL up to `lsn`.
    pub fn has_replayed(&self, lsn: Lsn) -> bool {
        let replayed = self.replayed.load(Ordering::Relaxed);
        replayed > 0 && replayed >= lsn.0
    }

    /// Starts the task that monitors the replica, until its pool is closed.
    ///
    /// The replica is used once it has caught up with the primary. It is no longer used when it has
    /// not caught up again for more than `max_lag`.
    pub fn start_monitor(&self, primary: PgPool, max_lag: Duration) {
        let replica = self.clone();
        tokio::spawn(async move {
            let pool = replica.reader.connection.get_postgres_connection_pool();
            let mut goal = query_lsn(&primary, FLUSHED_SQL).await.unwrap_or_default();
            let mut caught_up_at: Option<Instant> = None;
            while !pool.is_closed() {
                let mut replayed = replica.query_replayed().await;
                if replayed >= goal {
                    caught_up_at = Some(Instant::now());
                    // While the primary is down, its replicas count as caught up.
                    goal = query_lsn(&primary, FLUSHED_SQL).await.unwrap_or(goal.max(replayed));
                }
                if replayed > goal || caught_up_at.is_none_or(|at| at.elapsed() > max_lag) {
                    // Ahead of the primary, and so not its replica; or too far behind.
                    replayed = Lsn::default();
                }
                replica.set_replayed(replayed);
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
    }

    /// The LSN that the server has replayed.
    ///
    /// 0 if it does not respond or is not a standby.
    async fn query_replayed(&self) -> Lsn {
        query_lsn(&self.monitor_pool, REPLAYED_SQL).await.unwrap_or_else(|reason| {
            tracing::debug!(replica = self.address, reason, "could not query the replica");
            Lsn::default()
        })
    }

    fn set_replayed(&self, lsn: Lsn) {
        let before = self.replayed.swap(lsn.0, Ordering::Relaxed);
        match (before, lsn.0) {
            (0, 1..) => tracing::info!(replica = self.address, "the replica is used"),
            (1.., 0) => tracing::warn!(
                replica = self.address,
                "the replica is not used: it does not respond, lags, or does not follow the primary"
            ),
            _ => {}
        }
    }
}

const REPLAYED_SQL: &str = "SELECT CASE WHEN pg_is_in_recovery() \
    THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint ELSE 0 END";
/// The end of the WAL on the primary's disk, up to which it is sent to replicas.
const FLUSHED_SQL: &str = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint";

async fn query_lsn(pool: &PgPool, sql: &'static str) -> Result<Lsn, String> {
    match timeout(POLL_TIMEOUT, sqlx::query_scalar::<_, i64>(sql).fetch_one(pool)).await {
        Ok(Ok(lsn)) => Ok(Lsn::from_column(lsn)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no response within {} s", POLL_TIMEOUT.as_secs())),
    }
}

impl Database {
    /// Whether replicas are configured.
    #[must_use]
    pub fn has_replicas(&self) -> bool {
        !self.replicas.is_empty()
    }

    /// Starts to monitor the replicas and to read from them.
    ///
    /// The monitors end when the database is closed. Call it after the migrations: a replica is
    /// used only once it has replayed them too.
    ///
    /// # Errors
    /// When the URL of the primary is not valid.
    pub fn start_replica_monitors(&self, config: &DatabaseConfig) -> Result<()> {
        if self.has_replicas() {
            let options = postgres::options(config.url())?;
            let primary = postgres::pool(options, 1, timeouts(config), Purpose::Read);
            for replica in &*self.replicas {
                let max_lag = Duration::from_secs(config.database_replica_lag);
                replica.start_monitor(primary.clone(), max_lag);
            }
        }
        Ok(())
    }

    /// Number of replicas that are used: they respond and are not too far behind.
    #[must_use]
    pub fn healthy_replicas(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.has_replayed(Lsn::default())).count()
    }

    /// Marks a session in its write transaction, if there are replicas.
    ///
    /// The session then reads from the primary, until [`Self::record_write_lsn`] has stored the LSN
    /// that a replica must have replayed.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn mark_write_pending(
        &self,
        transaction: &DatabaseTransaction,
        session: i64,
    ) -> Result<(), DbErr> {
        if self.has_replicas() {
            let sql = "UPDATE session SET lsn = $1 WHERE id = $2";
            let values = [i64::MAX.into(), session.into()];
            transaction.execute_raw(self.statement(sql, values)).await?;
        }
        Ok(())
    }

    /// Returns an LSN after all committed writes, and stores it with the session.
    ///
    /// It replaces the mark of [`Self::mark_write_pending`]. Without a session, it is only
    /// returned.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn record_write_lsn(&self, session: Option<i64>) -> Result<Lsn, DbErr> {
        // Need not wait for the disk: if it is lost, the session reads from the primary. PostgreSQL
        // evaluates the LSN once the row is locked, so it is not before a concurrent write's.
        let save = "UPDATE session SET lsn = (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint \
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS quick \
             WHERE id = $1 RETURNING lsn";
        let read = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS lsn";
        let mut row = None;
        if session.is_some() {
            row = self.writer.query_one_raw(self.statement(save, [session.into()])).await?;
        }
        if row.is_none() {
            row = self.writer.query_one_raw(self.statement(read, [])).await?;
        }
        let lsn: i64 = row.map(|row| row.try_get("", "lsn")).transpose()?.unwrap_or_default();
        Ok(Lsn::from_column(lsn))
    }

    /// A replica that has replayed the WAL up to `lsn`, chosen by round robin.
    pub(super) fn replica(&self, lsn: Lsn) -> Option<&Replica> {
        let first = self.next_replica.fetch_add(1, Ordering::Relaxed);
        let count = self.replicas.len();
        let mut replicas = (0..count).map(|n| &self.replicas[first.wrapping_add(n) % count]);
        replicas.find(|replica| replica.has_replayed(lsn))
    }
}
