//! One moment of the database for everything that a request reads.

use std::ops::Deref;
use std::sync::Arc;

use sea_orm::{DatabaseTransaction, DbErr, FromQueryResult, TransactionTrait as _, Value};
use tokio::sync::{Mutex, OwnedRwLockReadGuard};

use super::Database;

/// One request's reads: all statements see the database as it was at the first of them, so that a
/// count and the list it counts agree whatever others write meanwhile. The connection goes back with
/// the last clone. Opened by the first read; cheap when nothing is read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    database: Database,
    open: Arc<Mutex<Option<Arc<Open>>>>,
}

/// An open moment. Its transaction ends before it lets the log be emptied.
#[derive(Debug)]
pub struct Open {
    transaction: DatabaseTransaction,
    _shared: OwnedRwLockReadGuard<()>,
}

impl Deref for Open {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

impl Snapshot {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), open: Arc::default() }
    }

    /// The transaction to read in. A write through it fails.
    ///
    /// # Errors
    /// When no connection gets free within four seconds.
    pub async fn get(&self) -> Result<Arc<Open>, DbErr> {
        let mut open = self.open.lock().await;
        if let Some(transaction) = &*open {
            return Ok(Arc::clone(transaction));
        }
        let shared = Arc::clone(&self.database.snapshots).read_owned().await;
        let transaction = self.database.reader.begin().await?;
        let moment = Arc::new(Open { transaction, _shared: shared });
        *open = Some(Arc::clone(&moment));
        Ok(moment)
    }

    /// Runs a statement in the engine's own words.
    ///
    /// # Errors
    /// As the database says.
    pub async fn all<R, V>(&self, sql: &str, values: V) -> Result<Vec<R>, DbErr>
    where
        R: FromQueryResult,
        V: IntoIterator<Item = Value>,
    {
        let statement = self.database.statement(sql, values);
        R::find_by_statement(statement).all(&**self.get().await?).await
    }

    /// Lets go of the moment: the next read sees what has been written since.
    pub async fn renew(&self) {
        self.open.lock().await.take();
    }
}
