//! The lock file beside an SQLite database.
//!
//! It is held by `serve`, by `migrate up` and `migrate down`, and on the target of `copy`. Two
//! servers on one file would create the same ids. The operating system releases the lock when the
//! process ends.

use std::fs::{self, File, TryLockError};

use anyhow::{Context as _, Result, bail};

use crate::database;
use crate::database::Engine;

/// Locks the database at `url` until the returned file is dropped.
///
/// On PostgreSQL there is no lock: many instances may serve one database.
///
/// # Errors
/// When another process holds the lock, or when the lock file cannot be created.
pub fn acquire(url: &str) -> Result<Option<File>> {
    if Engine::from_url(url) != Some(Engine::Sqlite) {
        return Ok(None);
    }
    let path = database::database_path(url)?;
    // A database has the same lock through a symbolic link.
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
            bail!("the database {} is in use by another rookery process", path.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock the database {}", path.display()))
        }
    }
}
