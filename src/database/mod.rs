//! The database: a pool that reads, a connection that writes. `connect` knows how the engine wants to be
//! opened, `snapshot` gives a request one moment to read, `log` keeps the write-ahead log short.
//!
//! SQLite runs in WAL mode: no statement that reads waits for the writer, and what was committed is
//! seen by the very next read.

mod connect;
mod log;
mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _, Value, sqlx,
};
use tokio::sync::RwLock;

pub use connect::file;
pub use snapshot::Snapshot;

/// Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Database {
    file: PathBuf,
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    statements: Arc<AtomicU64>,
    /// Held shared by open snapshots, and alone by whoever empties the log.
    snapshots: Arc<RwLock<()>>,
}

impl Database {
    /// Opens `url` (`sqlite://PATH`), making the file when there is none, with `readers` connections
    /// for reading.
    ///
    /// # Errors
    /// Says which database it was and why: no such folder, not writable, not a database.
    pub async fn open(url: &str, readers: u32) -> Result<Self> {
        let file = connect::file(url)?;
        let cannot_open = |error| anyhow!("cannot open the database {url}: {}", reason(&error));
        let statements = Arc::new(AtomicU64::new(0));
        let mut writer = connect::open(url, 1, false).await.map_err(cannot_open)?;
        let mut reader = connect::open(url, readers.max(1), true).await.map_err(cannot_open)?;
        for connection in [&mut writer, &mut reader] {
            let counter = Arc::clone(&statements);
            connection.set_metric_callback(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
            });
        }
        Ok(Self { file, reader, writer, statements, snapshots: Arc::default() })
    }

    /// Brings the tables to this version's form.
    ///
    /// # Errors
    /// When the database comes from a newer version, or cannot be written.
    pub async fn migrate(&self) -> Result<()> {
        let cannot_write = |error| anyhow!("cannot write the database: {}", reason(&error));
        let trial = self.begin().await.map_err(cannot_write)?;
        // A file that cannot be written lets transactions begin; only a write finds out.
        trial.execute_unprepared("PRAGMA user_version = 0").await.map_err(cannot_write)?;
        trial.rollback().await.map_err(cannot_write)?;
        self.refuse_newer().await?;
        Migrator::up(&self.writer, None)
            .await
            .context("cannot bring the database's tables up to date")
    }

    /// # Errors
    /// When the database holds a migration that this version does not know.
    pub async fn refuse_newer(&self) -> Result<()> {
        let known = Migrator::migrations();
        for applied in self.applied().await? {
            ensure!(
                known.iter().any(|known| known.name() == applied),
                "the database comes from a newer version of Rookery (it has the migration \
                 '{applied}'); start that version, or restore a backup from before"
            );
        }
        Ok(())
    }

    /// For commands that only look, or add to what must be there.
    ///
    /// # Errors
    /// When the tables are not in this version's form.
    pub async fn require_current(&self) -> Result<()> {
        self.refuse_newer().await?;
        let applied = self.applied().await?;
        let missing = Migrator::migrations()
            .iter()
            .filter(|known| !applied.iter().any(|applied| applied == known.name()))
            .count();
        ensure!(
            missing == 0,
            "the database is not up to date ({missing} migrations are missing): \
             run 'rookery migrate up' first"
        );
        Ok(())
    }

    /// The names of the migrations that the database has gone through.
    async fn applied(&self) -> Result<Vec<String>> {
        let sql = "SELECT version FROM seaql_migrations ORDER BY version";
        let table = "SELECT name FROM sqlite_schema WHERE name = 'seaql_migrations'";
        let there = self.reader.query_one_raw(self.statement(table, [])).await;
        let there =
            there.map_err(|error| anyhow!("cannot read the database: {}", reason(&error)))?;
        let rows = if there.is_some() {
            self.reader.query_all_raw(self.statement(sql, [])).await?
        } else {
            vec![]
        };
        rows.iter().map(|row| Ok(row.try_get("", "version")?)).collect()
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
    /// When another writer keeps the database for longer than four seconds.
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

    /// Empties the write-ahead log whenever it has grown, for as long as the database is open.
    pub fn keep_log_short(&self) {
        self.keep_log_shorter_than(log::LIMIT, log::EVERY);
    }

    /// The same, with a limit in bytes and a rhythm of one's own.
    pub fn keep_log_shorter_than(&self, limit: u64, every: Duration) {
        tokio::spawn(log::keep_short(self.clone(), limit, every));
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

/// `column` is one of `keys`: one parameter and one text, however many there are.
pub fn any_of(column: &str, keys: &[i64]) -> Expr {
    let sql = format!("{column} IN (SELECT value FROM json_each(?))");
    Expr::cust_with_values(sql, [key_list(keys.iter().copied())])
}

/// Any number of keys as one parameter, so that the statement's text stays the same:
/// `IN (SELECT value FROM json_each($1))`.
pub fn key_list(keys: impl IntoIterator<Item = i64>) -> Value {
    let list: Vec<String> = keys.into_iter().map(|key| key.to_string()).collect();
    format!("[{}]", list.join(",")).into()
}

/// What the engine itself says, without the libraries' frames around it.
pub fn reason(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => match &**inner {
            sqlx::Error::Database(inner) => inner.message().to_owned(),
            inner => inner.to_string(),
        },
        error => error.to_string(),
    }
}
