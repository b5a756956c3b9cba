//! Connection pools of SQLite: file, parameters, and checks of their connections.
//!
//! The database is in WAL mode, in which reads and the one writer do not block each other. Only
//! files are supported: with a database in memory each connection would have its own.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sea_orm::{ConnectOptions, Database as SeaOrm, DatabaseConnection, DbErr};

use super::STATEMENT_CACHE_CAPACITY;
use super::interrupt::Interrupt;

/// Rows buffered between the thread of a connection and the task.
///
/// More than a page needs.
const ROW_BUFFER_SIZE: usize = 1024;
/// Number of instructions between two checks of the interrupt.
///
/// SQLite executes them in about 0.1 ms.
const PROGRESS_INTERVAL: i32 = 10_000;
/// Size of the memory map in bytes: the maximum of SQLite (`SQLITE_MAX_MMAP_SIZE`).
const MMAP_SIZE: &str = "2147418112";

/// The path of the database file of a URL.
///
/// # Errors
/// When the URL is not valid, or names a database in memory.
pub fn database_path(url: &str) -> Result<PathBuf> {
    let path = url.parse::<SqliteConnectOptions>()?.get_filename().to_path_buf();
    let on_disk = !path.as_os_str().is_empty() && !url.contains(":memory:");
    ensure!(
        on_disk,
        "a database in memory is not supported: use a file, such as sqlite://rookery.db"
    );
    Ok(path)
}

/// Opens the database file, and creates it if it does not exist.
///
/// A new file is readable by its owner only, because it has password hashes and e-mail addresses.
/// SQLite gives its WAL and shared memory the mode of the file.
///
/// # Errors
/// When the file cannot be opened or created.
pub fn create_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    // Reading suffices for a lock on a file that is write-protected.
    options.open(path).or_else(|error| File::open(path).map_err(|_| error))
}

/// Opens a pool of `size` connections.
///
/// A missing file is created, readable by its owner only. `timeout` is the longest wait for a free
/// connection and for the lock of another writer. `interrupt` ends the statements that run on the
/// connections.
///
/// # Errors
/// When the file cannot be opened or created, or is not a database.
pub async fn open(
    url: &str,
    size: u32,
    timeout: Duration,
    read_only: bool,
    interrupt: &Interrupt,
) -> Result<DatabaseConnection, DbErr> {
    if let Ok(path) = database_path(url)
        && !path.exists()
    {
        // A failure here is reported when the file is opened.
        let _ = create_file(&path);
    }
    let interrupt = interrupt.clone();
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(timeout)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .create_if_missing(true)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(timeout)
                .statement_cache_capacity(STATEMENT_CACHE_CAPACITY)
                .row_buffer_size(ROW_BUFFER_SIZE)
                .pragma("mmap_size", MMAP_SIZE)
                .pragma("query_only", if read_only { "ON" } else { "OFF" })
        })
        .map_sqlx_sqlite_pool_opts(move |options| {
            let interrupt = interrupt.clone();
            check_no_open_transaction(options).after_connect(move |connection, _| {
                let interrupt = interrupt.clone();
                Box::pin(async move {
                    let is_running = move || !interrupt.is_set();
                    let mut handle = connection.lock_handle().await?;
                    handle.set_progress_handler(PROGRESS_INTERVAL, is_running);
                    Ok(())
                })
            })
        });
    SeaOrm::connect(options).await
}

/// Closes a connection that leaves the pool with an open transaction.
///
/// SQLite rolls a transaction back by itself when the disk is full or fails. The driver still
/// counts it as open, so that a later commit on that connection would not commit anything. The
/// rollback of a transaction that was dropped has run before this check.
fn check_no_open_transaction(options: SqlitePoolOptions) -> SqlitePoolOptions {
    options.before_acquire(|connection, _| {
        Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
    })
}
