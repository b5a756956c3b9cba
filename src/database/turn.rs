//! How commands write: for as long as it takes, and one after the other.
//!
//! On SQLite any writer is alone. On PostgreSQL a command that writes many rows holds one lock, on the
//! table of users: every write that a count depends on touches a user's row first, and waits there.
//! With one lock to wait for, nobody waits in a circle.

use anyhow::{Result, anyhow};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr};

use super::{Database, Engine, Snapshot, reason};

/// Held by a command while it writes.
const TURN: i64 = 0x726f_6f6b_6572_7901;

const PATIENCE: &str = "SET LOCAL statement_timeout = 0; \
                        SET LOCAL idle_in_transaction_session_timeout = 0;";

/// Services begin no write that they cannot end within seconds; what keeps the table for longer is stuck.
const LOCK_USERS: &str = "SET LOCAL lock_timeout = '10s'; LOCK TABLE \"user\" IN EXCLUSIVE MODE";

impl Database {
    /// A writing transaction of a command that is done in a moment. Other commands wait until it ends,
    /// and it waits for them, but not for long.
    ///
    /// # Errors
    /// When another command, or on SQLite anybody, writes for too long.
    pub async fn begin_turn(&self) -> Result<DatabaseTransaction> {
        let transaction = self.begin().await.map_err(|error| in_use(&error))?;
        if self.engine == Engine::Postgres {
            transaction.execute_unprepared(&take_turn()).await.map_err(|error| in_use(&error))?;
        }
        Ok(transaction)
    }

    /// A writing transaction that may take long. While it lasts everybody else's writes wait or are given
    /// up, so that what it counts stays true; reads go on. On PostgreSQL other commands are waited for
    /// however long they take.
    ///
    /// # Errors
    /// When somebody else writes for too long.
    pub async fn begin_alone(&self) -> Result<DatabaseTransaction> {
        let transaction = self.begin().await.map_err(|error| in_use(&error))?;
        if self.engine == Engine::Postgres {
            let turn = take_turn();
            let sql = format!("{PATIENCE} SET LOCAL lock_timeout = 0; {turn}; {LOCK_USERS}");
            transaction.execute_unprepared(&sql).await.map_err(|error| in_use(&error))?;
        }
        Ok(transaction)
    }
}

impl Snapshot {
    /// One whose statements may take as long as they need.
    ///
    /// # Errors
    /// When no connection gets free in time.
    pub async fn patient(database: &Database) -> Result<Self, DbErr> {
        let snapshot = Self::new(database);
        if database.engine == Engine::Postgres {
            snapshot.get().await?.execute_unprepared(PATIENCE).await?;
        }
        Ok(snapshot)
    }
}

fn take_turn() -> String {
    format!("SELECT pg_advisory_xact_lock({TURN})")
}

fn in_use(error: &DbErr) -> anyhow::Error {
    anyhow!("cannot begin to write: the database is in use: {}", reason(error))
}
