//! How SQLite wants to be opened.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sea_orm::{ConnectOptions, Database as SeaOrm, DatabaseConnection, DbErr};

use super::STATEMENT_CACHE;

/// Rows that wait between SQLite's thread and ours: a page and its probes fit.
const ROW_BUFFER: usize = 1024;
/// As much as the engine maps.
const MEMORY_MAP: &str = "2147418112";

/// The file behind an address.
///
/// # Errors
/// When it is the address of no file.
pub fn file(url: &str) -> Result<PathBuf> {
    let path = url.parse::<SqliteConnectOptions>()?.get_filename().to_path_buf();
    let on_disk = !path.as_os_str().is_empty() && !url.contains(":memory:");
    ensure!(
        on_disk,
        "a database in memory is not supported: name a file, as in sqlite://rookery.db"
    );
    Ok(path)
}

/// `patience` is how long a write waits for another one, here and in the engine, and a read for a free
/// connection.
pub async fn open(
    url: &str,
    size: u32,
    patience: Duration,
    read_only: bool,
) -> Result<DatabaseConnection, DbErr> {
    if let Ok(path) = file(url) {
        // Password hashes and e-mail addresses are nobody else's; what SQLite puts beside the file is like the file. What
        // stands in the way is said when it is opened.
        let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    }
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(patience)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .create_if_missing(true)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(patience)
                .statement_cache_capacity(STATEMENT_CACHE)
                .row_buffer_size(ROW_BUFFER)
                .pragma("mmap_size", MEMORY_MAP)
                .pragma("query_only", if read_only { "ON" } else { "OFF" })
        })
        .map_sqlx_sqlite_pool_opts(only_settled);
    SeaOrm::connect(options).await
}

/// SQLite ends a transaction by itself when the disk is full or fails; the driver goes on counting it as
/// open, and every later commit on that connection would be none. Such a connection is closed. The pool has
/// let the rollback of what was given up go before by then.
fn only_settled(options: SqlitePoolOptions) -> SqlitePoolOptions {
    options.before_acquire(|connection, _| {
        Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
    })
}
