//! The database: a pool that reads, a connection that writes, and the one place that knows how the
//! engine wants to be opened. SQLite runs in WAL mode: readers never wait for the writer, and what
//! was committed is seen by the very next read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database as SeaOrm, DatabaseConnection,
    DatabaseTransaction, DbErr, FromQueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait as _, Value,
};
use tokio::sync::Mutex;

/// How long a write waits for another one, and a read for a free connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Each connection keeps its prepared statements; Rookery has fewer than this many texts.
const STATEMENT_CACHE: usize = 256;
/// Rows that wait between SQLite's thread and ours: a page and its probes fit.
const ROW_BUFFER: usize = 128;
const MEMORY_MAP: &str = "1073741824";

/// Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Database {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    statements: Arc<AtomicU64>,
}

impl Database {
    /// Opens `url` (`sqlite://PATH`), making the file when there is none, with `readers` connections
    /// for reading.
    ///
    /// # Errors
    /// Says which database it was and why: no such folder, not writable, not a database.
    pub async fn open(url: &str, readers: u32) -> Result<Self> {
        file(url)?;
        let cannot_open = |error| anyhow!("cannot open the database {url}: {error}");
        let statements = Arc::new(AtomicU64::new(0));
        let mut writer = connect(url, 1, false).await.map_err(cannot_open)?;
        let mut reader = connect(url, readers.max(1), true).await.map_err(cannot_open)?;
        for connection in [&mut writer, &mut reader] {
            let counter = Arc::clone(&statements);
            connection.set_metric_callback(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
            });
        }
        Ok(Self { reader, writer, statements })
    }

    /// Brings the tables to this version's form.
    ///
    /// # Errors
    /// When the database comes from a newer version, or cannot be written.
    pub async fn migrate(&self) -> Result<()> {
        self.refuse_newer().await?;
        Migrator::up(&self.writer, None)
            .await
            .context("cannot bring the database's tables up to date")
    }

    /// # Errors
    /// When the database holds a migration that this version does not know.
    pub async fn refuse_newer(&self) -> Result<()> {
        let known = Migrator::migrations();
        let applied = Migrator::get_migration_models(&self.writer)
            .await
            .context("cannot read which migrations the database has")?;
        for migration in applied {
            ensure!(
                known.iter().any(|known| known.name() == migration.version),
                "the database comes from a newer version of Rookery (it has the migration '{}'); \
                 start that version, or restore a backup from before",
                migration.version
            );
        }
        Ok(())
    }

    /// The largest key of any table; 0 in an empty database.
    ///
    /// # Errors
    /// As the database says.
    pub async fn largest_key(&self) -> Result<i64> {
        let tables = ["\"user\"", "session", "follow", "post", "bookmark"];
        let largest = tables.map(|table| format!("SELECT max(id) AS id FROM {table}"));
        let sql = format!("SELECT max(id) AS id FROM ({}) AS keys", largest.join(" UNION ALL "));
        let row = self.reader.query_one_raw(self.statement(&sql, [])).await?;
        let largest: Option<i64> = row.map(|row| row.try_get("", "id")).transpose()?.flatten();
        Ok(largest.unwrap_or_default())
    }

    /// For reading. A write through it fails.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For migrations and bulk work; everything else writes in [`Database::begin`].
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// A writing transaction, alone with the database from its first statement on. Rolls back unless
    /// committed.
    ///
    /// # Errors
    /// When another writer keeps the database for longer than five seconds.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.writer
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            })
            .await
    }

    /// A statement in the engine's own words, its parameters written `$1`, `$2`, ...
    pub fn statement<V>(&self, sql: &str, values: V) -> Statement
    where
        V: IntoIterator<Item = Value>,
    {
        Statement::from_sql_and_values(self.reader.get_database_backend(), sql, values)
    }

    /// How many statements have run since the start, transaction control not counted.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Closes all connections: what is in the write-ahead log goes into the file.
    pub async fn close(self) {
        for connection in [self.reader, self.writer] {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the database did not close cleanly");
            }
        }
    }
}

/// One request's reads: all statements see the database as it was at the first of them, so that a
/// count and the list it counts agree whatever others write meanwhile. The connection goes back with
/// the last clone. Opened by the first read; cheap when nothing is read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    database: Database,
    open: Arc<Mutex<Option<Arc<DatabaseTransaction>>>>,
}

impl Snapshot {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), open: Arc::default() }
    }

    /// The transaction to read in. A write through it fails.
    ///
    /// # Errors
    /// When no connection gets free within five seconds.
    pub async fn get(&self) -> Result<Arc<DatabaseTransaction>, DbErr> {
        let mut open = self.open.lock().await;
        if let Some(transaction) = &*open {
            return Ok(Arc::clone(transaction));
        }
        let transaction = Arc::new(self.database.reader.begin().await?);
        *open = Some(Arc::clone(&transaction));
        Ok(transaction)
    }

    /// Runs a statement in the engine's own words.
    ///
    /// # Errors
    /// As the database says.
    pub async fn all<R, V>(&self, sql: &str, values: V) -> Result<Vec<R>, DbErr>
    where
        R: FromQueryResult,
        V: IntoIterator<Item = Value>,
    {
        let statement = self.database.statement(sql, values);
        R::find_by_statement(statement).all(&*self.get().await?).await
    }

    /// Lets go of the moment: the next read sees what has been written since.
    pub async fn renew(&self) {
        self.open.lock().await.take();
    }
}

/// Any number of keys as one parameter, so that the statement's text stays the same:
/// `IN (SELECT value FROM json_each($1))`.
pub fn keys(keys: impl IntoIterator<Item = i64>) -> Value {
    let list: Vec<String> = keys.into_iter().map(|key| key.to_string()).collect();
    format!("[{}]", list.join(",")).into()
}

/// The file behind an address; `None` for a database in memory.
///
/// # Errors
/// When it is the address of something else; what follows the scheme may be secret and is not shown.
pub fn file(url: &str) -> Result<Option<PathBuf>> {
    let scheme = url.split(':').next().unwrap_or_default();
    ensure!(scheme == "sqlite", "the database address must start with sqlite://, not {scheme}:");
    let options: SqliteConnectOptions = url.parse()?;
    let path = options.get_filename();
    let on_disk = !path.as_os_str().is_empty() && !url.contains(":memory:");
    Ok(on_disk.then(|| path.to_path_buf()))
}

async fn connect(url: &str, size: u32, read_only: bool) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .create_if_missing(true)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(PATIENCE)
                .statement_cache_capacity(STATEMENT_CACHE)
                .row_buffer_size(ROW_BUFFER)
                .pragma("mmap_size", MEMORY_MAP)
                .pragma("query_only", if read_only { "ON" } else { "OFF" })
        });
    SeaOrm::connect(options).await
}
