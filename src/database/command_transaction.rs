//! Write transactions of commands: of any duration, and one at a time.
//!
//! On SQLite, `BEGIN IMMEDIATE` excludes all other writers. On PostgreSQL, commands exclude each
//! other by an advisory lock. A command that writes many rows also locks the table `user` in
//! `EXCLUSIVE` mode: every write that changes a stored count locks the row of a user first, so it
//! waits there. Since all writers wait for the same lock first, they cannot deadlock with the
//! command.

use anyhow::{Result, anyhow};
use sea_orm::{ConnectionTrait as _, DbErr};

use super::{Database, Engine, Snapshot, WriteTransaction, driver_message};

/// Key of the advisory lock that a command holds while it writes.
const COMMAND_LOCK_KEY: i64 = 0x726f_6f6b_6572_7901;

const WITHOUT_TIMEOUTS: &str = "SET LOCAL statement_timeout = 0; \
                        SET LOCAL idle_in_transaction_session_timeout = 0;";

/// Locks the table of users.
///
/// The writes of an instance end within seconds, so a transaction that keeps the lock for more than
/// 10 s is stuck.
const LOCK_USERS: &str = "SET LOCAL lock_timeout = '10s'; LOCK TABLE \"user\" IN EXCLUSIVE MODE";

impl Database {
    /// Begins a short write transaction of a command, which excludes other commands.
    ///
    /// On PostgreSQL instances keep writing. The wait for another command is bounded by
    /// `--database-acquire-timeout`.
    ///
    /// # Errors
    /// When another command, or on SQLite any other writer, does not finish in time; any error of
    /// the database.
    pub async fn begin_serialized(&self) -> Result<WriteTransaction> {
        let transaction = self.begin().await.map_err(|error| in_use(&error))?;
        if self.engine == Engine::Postgres {
            transaction
                .execute_unprepared(&command_lock_sql())
                .await
                .map_err(|error| in_use(&error))?;
        }
        Ok(transaction)
    }

    /// Begins a long write transaction of a command, which excludes other writers.
    ///
    /// Writes that change stored counts wait until it ends, or fail after their own timeout, so
    /// that the counts that it computes stay true. Reads continue. On PostgreSQL it waits for other
    /// commands without a timeout.
    ///
    /// # Errors
    /// When another writer does not finish in time; any error of the database.
    pub async fn begin_exclusive(&self) -> Result<WriteTransaction> {
        let transaction = self.begin().await.map_err(|error| in_use(&error))?;
        if self.engine == Engine::Postgres {
            let command_lock = command_lock_sql();
            let sql = format!(
                "{WITHOUT_TIMEOUTS} SET LOCAL lock_timeout = 0; {command_lock}; {LOCK_USERS}"
            );
            transaction.execute_unprepared(&sql).await.map_err(|error| in_use(&error))?;
        }
        Ok(transaction)
    }
}

impl Snapshot {
    /// A snapshot on the primary whose statements have no timeout.
    ///
    /// # Errors
    /// When no connection becomes free in time; any error of the database.
    pub async fn without_timeouts(database: &Database) -> Result<Self, DbErr> {
        let snapshot = Self::new(database);
        if database.engine == Engine::Postgres {
            snapshot.transaction().await?.execute_unprepared(WITHOUT_TIMEOUTS).await?;
        }
        Ok(snapshot)
    }
}

fn command_lock_sql() -> String {
    format!("SELECT pg_advisory_xact_lock({COMMAND_LOCK_KEY})")
}

fn in_use(error: &DbErr) -> anyhow::Error {
    anyhow!("cannot begin a write transaction: the database is in use: {}", driver_message(error))
}
