//! The write-ahead log. SQLite moves it into the file as it goes, but begins it anew only in a moment
//! when nobody reads, and under steady load there is none: the log would grow for ever. So when it
//! has grown, new snapshots wait for a moment until the open ones are done, and it is emptied.

use std::time::Duration;

use sea_orm::sqlx;
use tokio::time::timeout;

use super::Database;

/// Bytes of log that are left alone.
pub const LIMIT: u64 = 32 * 1024 * 1024;
/// How often its size is looked at.
pub const EVERY: Duration = Duration::from_millis(500);
/// For how long new snapshots may be held back.
const MOMENT: Duration = Duration::from_millis(200);

/// Ends when the database is closed.
pub async fn keep_short(db: Database, limit: u64, every: Duration) {
    let mut log = db.file.clone().into_os_string();
    log.push("-wal");
    loop {
        tokio::time::sleep(every).await;
        let size = tokio::fs::metadata(&log).await.map_or(0, |log| log.len());
        if size <= limit {
            continue;
        }
        match empty(&db).await {
            Ok(()) => tracing::debug!(size, "the write-ahead log was emptied"),
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => tracing::debug!(%error, "the write-ahead log stays for now"),
        }
    }
}

async fn empty(db: &Database) -> Result<(), sqlx::Error> {
    let mut writer = db.writer.get_sqlite_connection_pool().acquire().await?;
    let Ok(_alone) = timeout(MOMENT, db.snapshots.write()).await else {
        return Ok(());
    };
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await?;
    Ok(())
}
