//! The pool for read transactions, and how transactions begin.
//!
//! A pooled connection may be broken, so a `BEGIN` that fails for this reason is retried on the
//! next connection. A `BEGIN` that is cancelled, as by a timeout, leaves a connection whose state
//! the driver does not know; it is recorded, so that the pool checks its connections for open
//! transactions.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sea_orm::{
    AccessMode, ConnAcquireErr, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel,
    RuntimeErr, TransactionOptions, TransactionTrait as _, sqlx,
};

use super::interrupt::{Interrupt, InterruptGuard};
use super::{Consumer, MAX_WAITING, postgres};
use crate::limits::{FairPermit, FairSemaphore};
use crate::retry::{immediately, with_retries};

/// Maximum number of attempts to begin a transaction.
///
/// That is one more than the connections of the largest pool, all of which may be broken.
const MAX_ATTEMPTS: u32 = 65;

/// A pool for read transactions, of the database or of a replica.
#[derive(Clone, Debug)]
pub(super) struct ReadPool {
    /// Serves reads outside of snapshots, and on PostgreSQL all reads.
    pub connection: DatabaseConnection,
    /// The connections of SQLite, each with its interrupt. Empty on PostgreSQL.
    interruptible: Arc<[(DatabaseConnection, Interrupt)]>,
    /// Indexes of `interruptible` that no lease has, in the order of their release.
    ///
    /// The driver ends the transaction of a connection after its lease, so it is busy for a moment.
    free: Arc<Mutex<VecDeque<usize>>>,
    /// Permits for the connections.
    permits: FairSemaphore<Consumer>,
    /// Longest wait for a connection.
    pub acquire_timeout: Duration,
    /// Whether a transaction sees one snapshot and is read-only by default.
    ///
    /// True on SQLite. On PostgreSQL, false behind a connection pooler, which drops the parameters
    /// of the connection.
    pub applies_startup_options: bool,
}

impl ReadPool {
    /// A pool of `size` connections of PostgreSQL.
    pub fn new(connection: DatabaseConnection, size: u32, acquire_timeout: Duration) -> Self {
        Self {
            connection,
            interruptible: Arc::default(),
            free: Arc::default(),
            permits: FairSemaphore::new(size as usize, MAX_WAITING),
            acquire_timeout,
            applies_startup_options: true,
        }
    }

    /// A pool of connections of SQLite.
    ///
    /// `connection` serves reads outside of snapshots.
    pub fn of_sqlite(
        connection: DatabaseConnection,
        interruptible: Vec<(DatabaseConnection, Interrupt)>,
        acquire_timeout: Duration,
    ) -> Self {
        let size = interruptible.len();
        Self {
            interruptible: interruptible.into(),
            free: Mutex::new((0..size).collect()).into(),
            permits: FairSemaphore::new(size, MAX_WAITING),
            ..Self::new(connection, 0, acquire_timeout)
        }
    }

    /// All connections, or pools of them.
    pub fn connections(&self) -> impl Iterator<Item = &DatabaseConnection> {
        let interruptible = self.interruptible.iter().map(|(connection, _)| connection);
        interruptible.chain([&self.connection])
    }

    /// All connections, or pools of them, to be configured.
    pub fn connections_mut(&mut self) -> impl Iterator<Item = &mut DatabaseConnection> {
        // No clone of the pool exists yet.
        let interruptible = Arc::get_mut(&mut self.interruptible).into_iter().flatten();
        let interruptible = interruptible.map(|(connection, _)| connection);
        interruptible.chain([&mut self.connection])
    }

    /// The same, for connections that may not have the parameters of the pool.
    #[must_use]
    pub fn with_startup_options(self, applies_startup_options: bool) -> Self {
        Self { applies_startup_options, ..self }
    }

    /// Waits for the exclusive use of a connection.
    ///
    /// `request` is the request's number.
    pub async fn acquire(&self, consumer: Consumer, request: u64) -> Result<ReadLease, DbErr> {
        let permit = self.permits.acquire(consumer, request, self.acquire_timeout).await;
        let permit = permit.map_err(|_| no_connection())?;
        let index = self.free.lock().pop_front();
        Ok(ReadLease { free: Arc::clone(&self.free), index, _permit: permit })
    }

    /// Begins a transaction that sees one snapshot.
    ///
    /// On SQLite its statement is interrupted when the guard is dropped.
    pub async fn begin(
        &self,
        lease: &ReadLease,
    ) -> Result<(DatabaseTransaction, Option<InterruptGuard>), DbErr> {
        let interruptible = lease.index.and_then(|index| self.interruptible.get(index));
        if let Some((connection, interrupt)) = interruptible {
            let transaction = begin(connection, TransactionOptions::default()).await?;
            return Ok((transaction, Some(interrupt.guard())));
        }
        Ok((self.begin_shared().await?, None))
    }

    async fn begin_shared(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = if self.applies_startup_options {
            TransactionOptions::default()
        } else {
            TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..Default::default()
            }
        };
        begin(&self.connection, options).await
    }
}

/// The exclusive use of a connection until it is dropped.
#[derive(Debug)]
pub(super) struct ReadLease {
    free: Arc<Mutex<VecDeque<usize>>>,
    /// Index in [`ReadPool::interruptible`].
    index: Option<usize>,
    _permit: FairPermit<Consumer>,
}

impl Drop for ReadLease {
    fn drop(&mut self) {
        // Before the permit is released.
        self.free.lock().extend(self.index);
    }
}

/// The error when no connection becomes free in time.
pub(super) fn no_connection() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

/// Begins a transaction, on another connection if one is broken.
///
/// A retry is safe, because nothing has been executed yet.
pub(super) async fn begin(
    pool: &DatabaseConnection,
    options: TransactionOptions,
) -> Result<DatabaseTransaction, DbErr> {
    let begin = || CancelSafeBegin(Some(Box::pin(pool.begin_with_options(options))));
    with_retries(MAX_ATTEMPTS, is_broken, immediately, begin).await
}

/// A `BEGIN` whose cancellation is recorded.
///
/// That happens before its connection returns to the pool and is checked.
struct CancelSafeBegin<'a>(Option<BoxFuture<'a, Result<DatabaseTransaction, DbErr>>>);

impl Future for CancelSafeBegin<'_> {
    type Output = Result<DatabaseTransaction, DbErr>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(begin) = &mut self.0 else { return Poll::Pending };
        let result = begin.as_mut().poll(cx);
        if result.is_ready() {
            self.0 = None;
        }
        result
    }
}

impl Drop for CancelSafeBegin<'_> {
    fn drop(&mut self) {
        if self.0.is_some() {
            postgres::mark_begin_cancelled();
        }
    }
}

/// Whether the connection was broken before the transaction began.
fn is_broken(error: &DbErr) -> bool {
    let (DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    match &**error {
        sqlx::Error::Io(_) => true,
        // The server closed the connection: shutdown, crash, or one of the two idle timeouts.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["57P01", "57P02", "57P05", "25P03"].contains(&&*code))
        }
        _ => false,
    }
}
