//! A snapshot: one read transaction for everything that a request reads.
//!
//! All statements of the transaction see the same state of the database (`REPEATABLE READ` on
//! PostgreSQL, a WAL read transaction on SQLite). A count therefore equals the list that it counts,
//! whatever is written meanwhile.

use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult, Value};
use tokio::sync::{Mutex, OnceCell, OwnedRwLockReadGuard};

use super::interrupt::InterruptGuard;
use super::read_pool::{ReadLease, ReadPool};
use super::{Database, Engine, EventRef, Lsn, StreamPosition};
use crate::error::Error;
use crate::limits::WorkMeter;

/// A snapshot of the database, opened by the first read. Clones share it.
///
/// Its connection returns to the pool when the last clone is dropped or the snapshot is reset.
/// Under contention the next connection goes to the consumer that holds the fewest.
#[derive(Clone, Debug)]
pub struct Snapshot {
    database: Database,
    /// Counts the rows that are looked up for a client.
    meter: Option<Arc<WorkMeter>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The pool of a replica, if the snapshot is not on the primary.
    replica: Option<ReadPool>,
    open: Option<Arc<ReadTransaction>>,
}

/// An open snapshot. Dereferences to its transaction.
///
/// Fields are dropped in the order of their declaration: the transaction ends before the lock that
/// holds off the truncation of the WAL is released.
#[derive(Debug)]
pub struct ReadTransaction {
    /// Interrupts the statement of a transaction that is abandoned.
    _interrupt: Option<InterruptGuard>,
    transaction: DatabaseTransaction,
    /// The position of the snapshot in the event stream, once it has been read.
    position: OnceCell<StreamPosition>,
    _lease: ReadLease,
    _open_snapshot: OwnedRwLockReadGuard<()>,
}

impl Deref for ReadTransaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

impl Snapshot {
    /// A snapshot on the primary, for the consumer of the handle.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), meter: None, state: Arc::default() }
    }

    /// A snapshot on a replica that has replayed the WAL up to `lsn`, if there is one.
    #[must_use]
    pub fn on_replica(database: &Database, lsn: Lsn) -> Option<Self> {
        let replica = Some(database.replica(lsn)?.reader.clone());
        let state = Arc::new(Mutex::new(State { replica, open: None }));
        Some(Self { state, ..Self::new(database) })
    }

    /// The same snapshot, whose reads `meter` counts.
    #[must_use]
    pub fn metered(self, meter: Arc<WorkMeter>) -> Self {
        Self { meter: Some(meter), ..self }
    }

    /// The handle that the snapshot was made from.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The engine of the database.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.database.engine
    }

    /// Whether the snapshot reads from a replica.
    ///
    /// After [`Self::reset`] it reads from the primary.
    pub async fn is_on_replica(&self) -> bool {
        self.state.lock().await.replica.is_some()
    }

    /// The read-only transaction of the snapshot, opened by the first call.
    ///
    /// # Errors
    /// When no connection becomes free in time; any error of the database.
    pub async fn transaction(&self) -> Result<Arc<ReadTransaction>, DbErr> {
        let mut state = self.state.lock().await;
        if let Some(transaction) = &state.open {
            return Ok(Arc::clone(transaction));
        }
        let reader = state.replica.as_ref().unwrap_or(&self.database.reader);
        let Database { consumer, request, .. } = self.database;
        let lease = reader.acquire(consumer, request).await?;
        // Not before the lease: the truncation of the WAL waits for all holders of this lock.
        let open_snapshot = Arc::clone(&self.database.open_snapshots).read_owned().await;
        let (transaction, interrupt) = reader.begin(&lease).await?;
        let transaction = Arc::new(ReadTransaction {
            _interrupt: interrupt,
            transaction,
            position: OnceCell::new(),
            _lease: lease,
            _open_snapshot: open_snapshot,
        });
        state.open = Some(Arc::clone(&transaction));
        Ok(transaction)
    }

    /// The transaction, to look up at most `rows` rows in one statement.
    ///
    /// # Errors
    /// Those of [`WorkMeter::reserve`] and of [`Self::transaction`].
    pub async fn read(&self, rows: usize) -> Result<Arc<ReadTransaction>, Error> {
        if let Some(meter) = &self.meter {
            meter.reserve(rows)?;
        }
        Ok(self.transaction().await?)
    }

    /// Charges rows to the client whose number was not known before they were read.
    pub fn charge_read(&self, rows: usize) {
        if let Some(meter) = &self.meter {
            meter.charge_read(rows);
        }
    }

    /// Charges the rows that a `count(*)` has counted to the client.
    pub fn charge_counted(&self, rows: u64) {
        if let Some(meter) = &self.meter {
            meter.charge_counted(rows);
        }
    }

    /// Runs a query of a command, which no client pays for, and reads its rows.
    ///
    /// # Errors
    /// Any error of the database, or of reading a row.
    pub async fn all_unmetered<R: FromQueryResult>(&self, sql: &str) -> Result<Vec<R>, DbErr> {
        let statement = self.database.statement(sql, []);
        R::find_by_statement(statement).all(&**self.transaction().await?).await
    }

    /// Runs a query that looks up at most `rows` rows, and reads its result.
    ///
    /// # Errors
    /// Those of [`Self::read`]; any error of reading a row.
    pub async fn all<R, V>(&self, rows: usize, sql: &str, values: V) -> Result<Vec<R>, Error>
    where
        R: FromQueryResult,
        V: IntoIterator<Item = Value>,
    {
        let statement = self.database.statement(sql, values);
        Ok(R::find_by_statement(statement).all(&**self.read(rows).await?).await?)
    }

    /// The position of the snapshot in the event stream.
    ///
    /// Only on the primary: a replica does not know which transactions are in progress.
    ///
    /// # Errors
    /// When the table of events is empty; any error of the database.
    pub async fn stream_position(&self) -> Result<StreamPosition, DbErr> {
        let transaction = self.transaction().await?;
        let snapshot = match self.engine() {
            Engine::Sqlite => "'::'",
            Engine::Postgres => "pg_current_snapshot()::text",
        };
        let sql =
            format!("SELECT txn, at, {snapshot} AS seen FROM event ORDER BY txn DESC LIMIT 1");
        let read = async || {
            let row = transaction.query_one_raw(self.database.statement(&sql, [])).await?;
            let row = row.ok_or_else(|| DbErr::RecordNotFound("an event".to_owned()))?;
            let at: DateTime<Utc> = row.try_get("", "at")?;
            let last = EventRef { txn: row.try_get("", "txn")?, at: at.timestamp_micros() };
            let snapshot: String = row.try_get("", "seen")?;
            StreamPosition::new(&snapshot, last)
                .ok_or_else(|| DbErr::Custom(format!("not a snapshot of PostgreSQL: {snapshot}")))
        };
        transaction.position.get_or_try_init(read).await.cloned()
    }

    /// Ends the snapshot. The next read opens a new one on the primary.
    pub async fn reset(&self) {
        *self.state.lock().await = State::default();
    }
}
