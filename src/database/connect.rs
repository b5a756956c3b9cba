//! How the engine wants to be opened.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sea_orm::{ConnectOptions, Database as SeaOrm, DatabaseConnection, DbErr};

/// How long a write waits for another one, here and in the engine, and a read for a free connection:
/// together less than a request may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Each connection keeps its prepared statements; Rookery has fewer than this many texts.
const STATEMENT_CACHE: usize = 256;
/// Rows that wait between SQLite's thread and ours: a page and its probes fit.
const ROW_BUFFER: usize = 128;
const MEMORY_MAP: &str = "1073741824";

/// The file behind an address.
///
/// # Errors
/// When it is the address of something else; what follows the scheme may be secret and is not shown.
pub fn file(url: &str) -> Result<PathBuf> {
    let scheme = url.split(':').next().unwrap_or_default();
    ensure!(
        url.starts_with("sqlite:"),
        "the database address must read sqlite://PATH; this one begins with '{scheme}'"
    );
    let path = url.parse::<SqliteConnectOptions>()?.get_filename().to_path_buf();
    let on_disk = !path.as_os_str().is_empty() && !url.contains(":memory:");
    ensure!(
        on_disk,
        "a database in memory is not supported: name a file, as in sqlite://rookery.db"
    );
    Ok(path)
}

pub async fn open(url: &str, size: u32, read_only: bool) -> Result<DatabaseConnection, DbErr> {
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
        })
        .map_sqlx_sqlite_pool_opts(only_settled);
    SeaOrm::connect(options).await
}

/// SQLite ends a transaction by itself when the disk is full or fails; the driver goes on counting it as
/// open, and every later commit on that connection would be none. Such a connection is closed.
fn only_settled(options: SqlitePoolOptions) -> SqlitePoolOptions {
    options.after_release(|connection, _| {
        Box::pin(async move {
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}
