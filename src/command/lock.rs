//! The lock on an SQLite database file.
//!
//! It is held by `serve`, by `migrate up` and `migrate down`, and on the target of `copy`. Two
//! servers on one file would create the same ids. The operating system releases the lock when the
//! process ends.

use std::fs::{File, TryLockError};

use anyhow::{Context as _, Result, bail};

use crate::database;
use crate::database::Engine;

/// Locks the database at `url` until the returned file is dropped.
///
/// A missing file is created.
///
/// The lock is on the file itself (`flock`), so it holds for every path and link to the file. It
/// does not affect SQLite, which locks byte ranges. The returned file must be dropped after the
/// database is closed: closing any handle of a file releases the byte ranges that its process has
/// locked.
///
/// On PostgreSQL there is no lock: many instances may serve one database.
///
/// # Errors
/// When another process holds the lock, or when the file cannot be opened or created.
pub fn acquire(url: &str) -> Result<Option<File>> {
    if Engine::from_url(url) != Some(Engine::Sqlite) {
        return Ok(None);
    }
    let path = database::database_path(url)?;
    let lock = database::create_file(&path);
    let lock = lock.with_context(|| format!("cannot open the database {}", path.display()))?;
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
