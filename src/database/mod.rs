//! The database: a pool that reads, one that writes, and replicas to read from.
//!
//! `engine` is what SQLite and PostgreSQL say differently; `sqlite` and `postgres` know how each wants to
//! be opened, `tables` how it gets its tables. `snapshot` gives a request one moment to read,
//! `turn` is how commands write, `replica` watches the replicas, `node` numbers the instances, `log` keeps
//! SQLite's log short. `moment` says which transactions a moment has seen, `bell` that there are more.
//!
//! What was committed is seen by the very next read: on SQLite in WAL mode, on PostgreSQL from the
//! primary, and from a replica because none is asked that does not have it yet.

mod bell;
mod engine;
mod log;
mod lsn;
mod moment;
mod node;
mod postgres;
mod reader;
mod replica;
mod snapshot;
mod sqlite;
mod tables;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, Statement, TransactionOptions, Value, sqlx,
};
use tokio::sync::{RwLock, Semaphore};

use crate::config::DatabaseConfig;
use crate::trace;
use postgres::{Patience, Purpose};
use reader::Reader;
use replica::Replica;

pub use bell::Bell;
pub use engine::Engine;
pub use lsn::Lsn;
pub use moment::{Last, Moment};
pub use node::Node;
pub use snapshot::Snapshot;
pub use sqlite::file;

/// Each connection keeps its prepared statements; Rookery has fewer than this many texts.
const STATEMENT_CACHE: usize = 256;

/// Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    /// Fit to be shown.
    address: String,
    reader: Reader,
    writer: DatabaseConnection,
    replicas: Arc<[Replica]>,
    /// Where the search for a replica begins: they take turns.
    turn: Arc<AtomicUsize>,
    statements: Arc<AtomicU64>,
    bell: Bell,
    /// Turns of snapshots that can wait.
    turns: Arc<Semaphore>,
    /// Held shared by open snapshots, and alone by whoever empties SQLite's log.
    snapshots: Arc<RwLock<()>>,
}

impl Database {
    /// Opens the database behind an address; an SQLite file is made when there is none.
    ///
    /// # Errors
    /// Says which database it was and why: no such folder, not writable, no such server. What is secret
    /// in an address is not repeated.
    pub async fn open(config: &DatabaseConfig) -> Result<Self> {
        let url = config.url();
        match Engine::of(url) {
            Some(Engine::Sqlite) => Self::open_sqlite(config).await,
            Some(Engine::Postgres) => Self::open_postgres(config).await,
            None => bail!(
                "the database address must read sqlite://PATH or \
                 postgres://USER:PASSWORD@HOST:PORT/NAME; this one begins with '{}'",
                url.split_once("://").map_or("something else", |(scheme, _)| scheme)
            ),
        }
    }

    async fn open_sqlite(config: &DatabaseConfig) -> Result<Self> {
        let url = config.url();
        sqlite::file(url)?;
        if config.replicas().next().is_some() {
            bail!("replicas need PostgreSQL; the database is {url}");
        }
        let cannot_open = |error| anyhow!("cannot open the database {url}: {}", reason(&error));
        let patience = Duration::from_secs(config.connections.database_acquire_timeout);
        let writer = sqlite::open(url, 1, patience, false).await.map_err(cannot_open)?;
        let size = config.connections.database_readers;
        let connection = sqlite::open(url, size, patience, true).await.map_err(cannot_open)?;
        let reader = Reader { connection, settled: true };
        Ok(Self::of(Engine::Sqlite, url.to_owned(), reader, writer, vec![]))
    }

    async fn open_postgres(config: &DatabaseConfig) -> Result<Self> {
        let patience = patience(config);
        let options = postgres::options(config.url())?;
        let address = postgres::address(&options);
        let size = &config.connections;
        let (readers, writers) = (size.database_readers, size.database_writers);
        let reading = postgres::pool(options.clone(), readers, patience, Purpose::Read);
        let writing = postgres::pool(options, writers, patience, Purpose::Write);
        let settled = postgres::keeps_settings(&reading)
            .await
            .map_err(|error| anyhow!("cannot open the database {address}: {}", said(&error)))?;
        let replicas = config.replicas().map(|url| Replica::new(url, readers, patience));
        let replicas = replicas.collect::<Result<Vec<_>>>().context("DATABASE_REPLICA_URLS")?;
        let reader = Reader { connection: postgres::connection(reading), settled };
        let writer = postgres::connection(writing);
        Ok(Self::of(Engine::Postgres, address, reader, writer, replicas))
    }

    fn of(
        engine: Engine,
        address: String,
        mut reader: Reader,
        mut writer: DatabaseConnection,
        mut replicas: Vec<Replica>,
    ) -> Self {
        let statements = Arc::new(AtomicU64::new(0));
        let replicated = replicas.iter_mut().map(|replica| &mut replica.reader.connection);
        for connection in [&mut writer, &mut reader.connection].into_iter().chain(replicated) {
            let counter = Arc::clone(&statements);
            connection.set_metric_callback(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
                trace::count_statement();
            });
        }
        Self {
            engine,
            address,
            reader,
            writer,
            replicas: replicas.into(),
            turn: Arc::default(),
            statements,
            bell: Bell::default(),
            turns: Arc::new(Semaphore::new(snapshot::TURNS)),
            snapshots: Arc::default(),
        }
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Where the database is, without user and password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A number for this instance: `wanted`, or the first that no other instance on the database has.
    ///
    /// # Errors
    /// When another instance has taken the wanted one, when all are taken, or when a free one cannot be
    /// looked for because a pooler is in between.
    pub async fn node(&self, wanted: Option<u8>) -> Result<Node> {
        if self.engine == Engine::Sqlite {
            return Ok(Node::fixed(wanted.unwrap_or_default()));
        }
        if !self.reader.settled {
            if let Some(number) = wanted {
                return Ok(Node::fixed(number));
            }
            bail!(
                "there is a connection pooler before {}, which the instance's number cannot be \
                 locked through: give each instance a number of its own with --node",
                self.address
            );
        }
        let options = self.writer.get_postgres_connection_pool().connect_options();
        Node::take((*options).clone(), wanted).await.context("cannot number this instance")
    }

    /// The largest key of any table; 0 in an empty database.
    ///
    /// # Errors
    /// As the database says.
    pub async fn largest_key(&self) -> Result<i64> {
        let tables = ["\"user\"", "session", "follow", "post", "bookmark"];
        let largest = tables.map(|table| format!("SELECT max(id) AS id FROM {table}"));
        let sql = format!("SELECT max(id) AS id FROM ({}) AS keys", largest.join(" UNION ALL "));
        let row = self.reader().query_one_raw(self.statement(&sql, [])).await?;
        let largest: Option<i64> = row.map(|row| row.try_get("", "id")).transpose()?.flatten();
        Ok(largest.unwrap_or_default())
    }

    /// For reading. A write through it fails.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader.connection
    }

    /// For migrations and bulk work; everything else writes in [`Database::begin`].
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// A writing transaction. On SQLite it is alone with the database from its first statement on; on
    /// PostgreSQL it locks the rows it works on. Rolls back unless committed.
    ///
    /// # Errors
    /// When another writer keeps the database, or others all connections, for too long.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let at_once = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        reader::begin(&self.writer, at_once).await
    }

    /// A statement in the engine's own words, its parameters written `$1`, `$2`, ...
    pub fn statement<V>(&self, sql: &str, values: V) -> Statement
    where
        V: IntoIterator<Item = Value>,
    {
        Statement::from_sql_and_values(self.engine.backend(), sql, values)
    }

    /// How many statements have run since the start, transaction control not counted.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// How many connections to the database there are for reading, or for writing, and how many of them are idle.
    #[must_use]
    pub fn connections(&self, is_reader: bool) -> (usize, usize) {
        let connection = if is_reader { &self.reader.connection } else { &self.writer };
        match self.engine {
            Engine::Sqlite => {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size() as usize, pool.num_idle())
            }
            Engine::Postgres => {
                let pool = connection.get_postgres_connection_pool();
                (pool.size() as usize, pool.num_idle())
            }
        }
    }

    /// Rung by whoever has written what others may want to hear of.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Lets the bell be heard by all instances, for as long as the database is open; says whether it will be. With
    /// one instance, or through a pooler, which does not let it pass, it is not.
    ///
    /// # Errors
    /// When the address of the database cannot be read again.
    pub fn connect_bell(&self, config: &DatabaseConfig) -> Result<bool> {
        let is_heard = self.engine == Engine::Postgres && self.reader.settled;
        if is_heard {
            let options = postgres::options(config.url())?;
            self.bell.connect(postgres::pool(options, 2, patience(config), Purpose::Write));
        }
        Ok(is_heard)
    }

    #[must_use]
    pub fn has_replicas(&self) -> bool {
        !self.replicas.is_empty()
    }

    /// Watches the replicas and reads from them, for as long as the database is open. Begins when the tables
    /// are in this version's form: a replica must have come that far, too.
    ///
    /// # Errors
    /// When the address of the primary cannot be read again.
    pub fn use_replicas(&self, config: &DatabaseConfig) -> Result<()> {
        if self.has_replicas() {
            let options = postgres::options(config.url())?;
            let primary = postgres::pool(options, 1, patience(config), Purpose::Read);
            for replica in &*self.replicas {
                let max_lag = Duration::from_secs(config.database_replica_lag);
                replica.watch(primary.clone(), max_lag);
            }
        }
        Ok(())
    }

    /// How many replicas are there, and not too far behind.
    #[must_use]
    pub fn replicas_in_use(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.has(Lsn::default())).count()
    }

    /// Notes in a session's transaction that it writes: until it is known how far a replica must have
    /// come to have this, the session reads from the primary. Only with replicas.
    ///
    /// # Errors
    /// As the database says.
    pub async fn begin_mark(
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

    /// A place in the log behind everything that has been committed, kept with the session (if there is
    /// one) in place of what [`Self::begin_mark`] noted.
    ///
    /// # Errors
    /// As the database says.
    pub async fn mark(&self, session: Option<i64>) -> Result<Lsn, DbErr> {
        // This need not wait for the disk: without it, the session reads from the primary. The place is
        // looked up once the row is locked, behind whoever else writes in the session.
        let kept = "UPDATE session SET lsn = (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint \
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS quick \
             WHERE id = $1 RETURNING lsn";
        let plain = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS lsn";
        let mut row = None;
        if session.is_some() {
            row = self.writer.query_one_raw(self.statement(kept, [session.into()])).await?;
        }
        if row.is_none() {
            row = self.writer.query_one_raw(self.statement(plain, [])).await?;
        }
        let lsn: i64 = row.map(|row| row.try_get("", "lsn")).transpose()?.unwrap_or_default();
        Ok(Lsn::stored(lsn))
    }

    /// A replica that has everything up to `lsn`, if there is one.
    fn replica(&self, lsn: Lsn) -> Option<&Replica> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.replicas.len();
        let mut all = (0..count).map(|n| &self.replicas[first.wrapping_add(n) % count]);
        all.find(|replica| replica.has(lsn))
    }

    /// Empties SQLite's write-ahead log whenever it has grown, for as long as the database is open.
    pub fn keep_log_short(&self) {
        self.keep_log_shorter_than(log::LIMIT, log::EVERY);
    }

    /// The same, with a limit in bytes and a rhythm of one's own.
    pub fn keep_log_shorter_than(&self, limit: u64, every: Duration) {
        if self.engine == Engine::Sqlite {
            tokio::spawn(log::keep_short(self.clone(), limit, every));
        }
    }

    /// Closes all connections: what is in SQLite's write-ahead log goes into the file.
    pub async fn close(self) {
        self.bell.close().await;
        let replicas = self.replicas.iter().map(|replica| replica.reader.connection.clone());
        for connection in replicas.chain([self.reader.connection, self.writer]) {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the database did not close cleanly");
            }
        }
    }
}

fn patience(config: &DatabaseConfig) -> Patience {
    Patience {
        acquire: Duration::from_secs(config.connections.database_acquire_timeout),
        statement: Duration::from_secs(config.connections.database_statement_timeout),
    }
}

/// What the engine itself says, without the libraries' frames around it.
pub fn reason(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => said(inner),
        error => error.to_string(),
    }
}

fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}
