//! The database: a pool for reading, a pool for writing, and read replicas.
//!
//! `dialect` has the differences between the SQL of SQLite and of PostgreSQL; `sqlite`, `postgres`
//! and `open` open the pools, `migrations` applies migrations. `snapshot` gives a request one
//! consistent state to read, `command_transaction` is how commands write, `replica` monitors the
//! replicas, `instance_id` claims the id of this instance, `wal_checkpoint` truncates SQLite's WAL,
//! `interrupt` ends its abandoned statements.
//! `stream_position` is a position in the event stream, `notifier` wakes the event hub.
//!
//! A committed write is visible to the next read: on SQLite in WAL mode, on PostgreSQL from the
//! primary, and from a replica because a replica is read only if it has replayed the write.

mod command_transaction;
mod dialect;
mod instance_id;
mod interrupt;
mod lsn;
mod migrations;
mod notifier;
mod open;
mod postgres;
mod read_pool;
mod replica;
mod search_index;
mod snapshot;
mod sqlite;
mod stream_position;
mod wal_checkpoint;
mod write_transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, Value,
};
use tokio::sync::RwLock;

use crate::config::DatabaseConfig;
use crate::ids::InstanceId;
use crate::limits::{ClientNetwork, FairSemaphore};
use interrupt::Interrupt;
use read_pool::ReadPool;
use replica::Replica;

pub use dialect::Engine;
pub use lsn::Lsn;
pub use notifier::ChangeNotifier;
pub use open::driver_message;
pub use search_index::SearchIndex;
pub use snapshot::Snapshot;
pub use sqlite::{create_file, database_path};
pub use stream_position::{EventRef, StreamPosition};
pub use write_transaction::WriteTransaction;

/// Maximum number of prepared statements of a connection; Rookery has fewer.
const STATEMENT_CACHE_CAPACITY: usize = 256;

/// On whose behalf a connection is used.
///
/// Connections are shared fairly among consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consumer {
    /// The service itself.
    ///
    /// It runs the event hub, writes of last-seen times, and commands.
    #[default]
    Service,
    /// The requests and subscriptions of a client network.
    Network(ClientNetwork),
}

/// Maximum number of transactions that wait for a connection.
///
/// The subscribers of an event read at the same time, and there may be thousands of them.
const MAX_WAITING: usize = 100_000;

/// A handle to the database. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    /// The user of the connections that this handle acquires.
    consumer: Consumer,
    /// Number of the request, which precedes the consumer's later ones.
    ///
    /// 0 for the service.
    request: u64,
    /// The URL without user and password.
    address: String,
    reader: ReadPool,
    writer: DatabaseConnection,
    /// The interrupt of SQLite's only write connection.
    write_interrupt: Interrupt,
    /// Permits for the connections of `writer`.
    writer_permits: FairSemaphore<Consumer>,
    /// Longest wait for a connection.
    acquire_timeout: Duration,
    replicas: Arc<[Replica]>,
    next_request: Arc<AtomicU64>,
    /// Counter for round robin: the search for a replica starts at this index.
    next_replica: Arc<AtomicUsize>,
    statements: Arc<AtomicU64>,
    notifier: ChangeNotifier,
    /// Read-locked by open snapshots, and write-locked while SQLite's WAL is truncated.
    open_snapshots: Arc<RwLock<()>>,
}

impl Database {
    /// Opens the database of the configuration; a missing SQLite file is created.
    ///
    /// # Errors
    /// When the URL is not valid, when replicas are given for SQLite, or when the database cannot
    /// be opened. The message has the address and the reason, but no user and no password.
    pub async fn open(config: &DatabaseConfig) -> Result<Self> {
        let url = config.url();
        match Engine::from_url(url) {
            Some(Engine::Sqlite) => Self::open_sqlite(config).await,
            Some(Engine::Postgres) => Self::open_postgres(config).await,
            None => bail!(
                "the database URL must have the form sqlite://PATH or \
                 postgres://USER:PASSWORD@HOST:PORT/NAME; its scheme is {}",
                url.split_once("://")
                    .map_or_else(|| "missing".to_owned(), |(scheme, _)| format!("'{scheme}'"))
            ),
        }
    }

    /// The same database, used on behalf of a new request of a client network.
    ///
    /// Under contention it precedes the later requests of its network.
    #[must_use]
    pub fn for_request(&self, network: ClientNetwork) -> Self {
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        Self { consumer: Consumer::Network(network), request, ..self.clone() }
    }

    /// The same database, behind all requests so far of the same consumer.
    ///
    /// For work of many transactions that must not delay others.
    #[must_use]
    pub fn at_end_of_queue(&self) -> Self {
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        Self { request, ..self.clone() }
    }

    /// The engine of the database.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The URL of the database without user and password, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Claims an instance id: `wanted`, or the first free one.
    ///
    /// On SQLite, and behind a connection pooler, nothing is claimed: SQLite has one instance, and
    /// a pooler in transaction mode does not keep the locks of a session.
    ///
    /// # Errors
    /// When `wanted` was claimed as a free id by another instance, when no id is free, or when
    /// `wanted` is `None` behind a connection pooler; any error of the database.
    pub async fn claim_instance_id(&self, wanted: Option<u8>) -> Result<InstanceId> {
        if self.engine == Engine::Sqlite {
            return Ok(InstanceId::fixed(wanted.unwrap_or_default()));
        }
        if !self.reader.applies_startup_options {
            if let Some(number) = wanted {
                return Ok(InstanceId::fixed(number));
            }
            bail!(
                "cannot claim an instance id through the connection pooler at {}: \
                 give each instance its own id with --instance-id",
                self.address
            );
        }
        let options = self.writer.get_postgres_connection_pool().connect_options();
        instance_id::claim((*options).clone(), wanted).await.context("cannot claim an instance id")
    }

    /// The largest id of any table; 0 in an empty database.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn max_id(&self) -> Result<i64> {
        let row = self.reader().query_one_raw(self.statement(&max_id_sql(), [])).await?;
        let max: Option<i64> = row.map(|row| row.try_get("", "id")).transpose()?.flatten();
        Ok(max.unwrap_or_default())
    }

    /// The read pool.
    ///
    /// Writes through it fail, except on PostgreSQL behind a connection pooler.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader.connection
    }

    /// The write pool, for migrations. Other writes use [`Database::begin`].
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Begins a write transaction, which rolls back unless it is committed.
    ///
    /// Under contention the next connection goes to the consumer that holds the fewest, and to the
    /// oldest of its requests.
    ///
    /// On SQLite it is the only writer from its start (`BEGIN IMMEDIATE`). On PostgreSQL it has the
    /// isolation level `READ COMMITTED`.
    ///
    /// # Errors
    /// When no connection, or on SQLite the write lock, becomes free within
    /// `--database-acquire-timeout`; any error of the database.
    pub async fn begin(&self) -> Result<WriteTransaction, DbErr> {
        let permits = &self.writer_permits;
        let permit = permits.acquire(self.consumer, self.request, self.acquire_timeout).await;
        let permit = permit.map_err(|_| read_pool::no_connection())?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let transaction = read_pool::begin(&self.writer, options).await?;
        Ok(WriteTransaction::new(transaction, self.write_interrupt.guard(), permit))
    }

    /// A statement from SQL text with the parameters `$1`, `$2`, ...
    pub fn statement<V>(&self, sql: &str, values: V) -> Statement
    where
        V: IntoIterator<Item = Value>,
    {
        Statement::from_sql_and_values(self.engine.backend(), sql, values)
    }

    /// Number of SQL statements since the start, without transaction control.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Number of open and of idle connections of the read pool or of the write pool.
    #[must_use]
    pub fn connections(&self, is_reader: bool) -> (usize, usize) {
        let size = |connection: &DatabaseConnection| match self.engine {
            Engine::Sqlite => {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size() as usize, pool.num_idle())
            }
            Engine::Postgres => {
                let pool = connection.get_postgres_connection_pool();
                (pool.size() as usize, pool.num_idle())
            }
        };
        if is_reader {
            let sizes = self.reader.connections().map(size);
            sizes.fold((0, 0), |(open, idle), (more, more_idle)| (open + more, idle + more_idle))
        } else {
            size(&self.writer)
        }
    }

    /// The notifier, to be notified after every commit that writes an event.
    #[must_use]
    pub fn notifier(&self) -> &ChangeNotifier {
        &self.notifier
    }

    /// Starts the task that truncates SQLite's WAL when it exceeds 32 MiB.
    ///
    /// The task checks the size every 500 ms and ends when the database is closed.
    pub fn start_wal_checkpointer(&self) {
        self.start_wal_checkpointer_with(
            wal_checkpoint::WAL_LIMIT_BYTES,
            wal_checkpoint::CHECK_INTERVAL,
        );
    }

    /// Starts the same task with another size limit and check interval.
    pub fn start_wal_checkpointer_with(&self, limit_bytes: u64, interval: Duration) {
        if self.engine == Engine::Sqlite {
            tokio::spawn(wal_checkpoint::checkpoint_loop(self.clone(), limit_bytes, interval));
        }
    }

    /// Closes all connections. SQLite moves its WAL into the database file.
    pub async fn close(self) {
        self.notifier.close().await;
        let readers = self.replicas.iter().map(|replica| &replica.reader).chain([&self.reader]);
        let readers = readers.flat_map(ReadPool::connections).cloned().collect::<Vec<_>>();
        for connection in readers.into_iter().chain([self.writer]) {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the database did not close cleanly");
            }
        }
    }
}

/// SQL for the largest id of any table, as the column `id`.
///
/// It is null in an empty database.
pub fn max_id_sql() -> String {
    let tables = entity::TABLES.iter();
    let max = tables.map(|table| format!("SELECT max(id) AS id FROM {}", table.quoted()));
    format!("SELECT max(id) AS id FROM ({}) AS ids", max.collect::<Vec<_>>().join(" UNION ALL "))
}
