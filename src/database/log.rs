//! The write-ahead log. SQLite moves it into the file as it goes, but begins it anew only in a moment
//! when nobody reads, and under steady load there is none: the log would grow for ever. So when it
//! has grown, new snapshots wait for a moment until the open ones are done, and it is emptied.

use std::time::Duration;

use sea_orm::sqlx;
use tokio::time::timeout;

use super::{Database, sqlite};

/// Bytes of log that are left alone.
pub const LIMIT: u64 = 32 * 1024 * 1024;
/// How often its size is looked at.
pub const EVERY: Duration = Duration::from_millis(500);
/// For how long new snapshots may be held back, and how long the engine waits for readers elsewhere.
const MOMENT: Duration = Duration::from_millis(200);
/// While somebody reads for long (a backup, the doctor), it is tried this much less often.
const BACK_OFF: u32 = 20;

/// Ends when the database is closed.
pub async fn keep_short(db: Database, limit: u64, every: Duration) {
    let Ok(file) = sqlite::file(&db.address) else { return };
    let mut log = file.into_os_string();
    log.push("-wal");
    loop {
        tokio::time::sleep(every).await;
        let size = tokio::fs::metadata(&log).await.map_or(0, |log| log.len());
        if size <= limit {
            continue;
        }
        match empty(&db).await {
            Ok(true) => tracing::debug!(size, "the write-ahead log was emptied"),
            Ok(false) => tokio::time::sleep(every * BACK_OFF).await,
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => tracing::debug!(%error, "the write-ahead log stays for now"),
        }
    }
}

/// Whether it could be done. Not when somebody reads on, here or in another process: nobody else is to
/// wait for them.
async fn empty(db: &Database) -> Result<bool, sqlx::Error> {
    let mut writer = db.writer.get_sqlite_connection_pool().acquire().await?;
    let Ok(_alone) = timeout(MOMENT, db.snapshots.write()).await else {
        return Ok(false);
    };
    let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut *writer).await?;
    set_patience(&mut writer, MOMENT.as_millis()).await?;
    let busy = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *writer).await;
    set_patience(&mut writer, patience).await?;
    busy.map(|busy: i64| busy == 0)
}

async fn set_patience(
    connection: &mut sqlx::SqliteConnection,
    millis: impl std::fmt::Display + Send,
) -> Result<(), sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {millis}"));
    sqlx::query(sql).execute(connection).await.map(drop)
}
