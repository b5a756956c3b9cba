//! The lock beside an SQLite database: held by the service on it, and by whoever changes its tables.
//! Two services on one file would give out the same ids.

use std::fs::{self, File, TryLockError};

use anyhow::{Context as _, Result, bail};

use crate::database::{self, Engine};

/// The lock goes with the file handle, and so with the process. On PostgreSQL there is none: many instances
/// serve one database.
///
/// # Errors
/// When another process has it, or the folder cannot be written.
pub fn take(url: &str) -> Result<Option<File>> {
    if Engine::of(url) != Some(Engine::Sqlite) {
        return Ok(None);
    }
    let path = database::file(url)?;
    // The same database by any other name has the same lock.
    let path = fs::canonicalize(&path).unwrap_or(path);
    let mut name = path.clone().into_os_string();
    name.push(".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&name);
    let lock = lock.with_context(|| {
        format!("cannot create the lock file beside the database {}", path.display())
    })?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            bail!("the database {} is taken: a Rookery serves it", path.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock the database {}", path.display()))
        }
    }
}
