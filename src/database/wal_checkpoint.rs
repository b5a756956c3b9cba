//! Truncates SQLite's write-ahead log (WAL) when it has grown.
//!
//! SQLite copies the WAL into the database file automatically, but restarts it only when no read
//! transaction uses it. Under steady load there is always one, so the WAL would grow without bound.
//! When it exceeds a limit, new snapshots are therefore held back until the open ones have ended,
//! and then `PRAGMA wal_checkpoint(TRUNCATE)` runs.

use std::time::Duration;

use sea_orm::sqlx;
use tokio::time::timeout;

use super::{Database, sqlite};

/// Size of the WAL in bytes up to which it is left alone.
pub const WAL_LIMIT_BYTES: u64 = 32 * 1024 * 1024;
/// Interval between checks of the size.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// Longest wait for open snapshots, and then for readers in other processes.
const BUSY_TIMEOUT: Duration = Duration::from_millis(200);
/// Check intervals to skip after a reader has prevented the truncation.
///
/// Such a reader reads for long: a backup, for example, or `doctor`.
const BACKOFF_CHECKS: u32 = 20;

/// Truncates the WAL whenever it exceeds `limit_bytes`.
///
/// Ends when the database is closed.
pub async fn checkpoint_loop(db: Database, limit_bytes: u64, interval: Duration) {
    let Ok(file) = sqlite::database_path(&db.address) else { return };
    let mut wal = file.into_os_string();
    wal.push("-wal");
    loop {
        tokio::time::sleep(interval).await;
        let size = tokio::fs::metadata(&wal).await.map_or(0, |wal| wal.len());
        if size <= limit_bytes {
            continue;
        }
        match truncate_wal(&db).await {
            Ok(true) => tracing::debug!(size, "truncated the WAL"),
            Ok(false) => tokio::time::sleep(interval * BACKOFF_CHECKS).await,
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => tracing::debug!(%error, "could not truncate the WAL"),
        }
    }
}

/// Truncates the WAL, if no reader prevents it.
///
/// Returns `false` if a read transaction, here or in another process, outlasts [`BUSY_TIMEOUT`]:
/// requests must not wait for it.
async fn truncate_wal(db: &Database) -> Result<bool, sqlx::Error> {
    let mut writer = db.writer.get_sqlite_connection_pool().acquire().await?;
    // Clears the interrupt of an abandoned transaction, which has ended.
    db.write_interrupt.guard().disarm();
    let Ok(_no_snapshots) = timeout(BUSY_TIMEOUT, db.open_snapshots.write()).await else {
        return Ok(false);
    };
    let previous: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut *writer).await?;
    set_busy_timeout(&mut writer, BUSY_TIMEOUT.as_millis()).await?;
    let busy = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *writer).await;
    set_busy_timeout(&mut writer, previous).await?;
    busy.map(|busy: i64| busy == 0)
}

async fn set_busy_timeout(
    connection: &mut sqlx::SqliteConnection,
    millis: impl std::fmt::Display + Send,
) -> Result<(), sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {millis}"));
    sqlx::query(sql).execute(connection).await.map(drop)
}
