//! A write transaction, which holds a permit of the writer.

use std::ops::Deref;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};

use super::Consumer;
use super::interrupt::InterruptGuard;
use crate::limits::FairPermit;

/// A write transaction, which rolls back unless it is committed.
///
/// On SQLite it is the only writer from its start.
#[derive(Debug)]
pub struct WriteTransaction {
    /// Dropped first: it interrupts the statement of a transaction that is abandoned.
    interrupt: InterruptGuard,
    transaction: DatabaseTransaction,
    /// Released after the transaction has ended: fields are dropped in this order.
    _permit: FairPermit<Consumer>,
}

impl WriteTransaction {
    pub(super) fn new(
        transaction: DatabaseTransaction,
        interrupt: InterruptGuard,
        permit: FairPermit<Consumer>,
    ) -> Self {
        Self { interrupt, transaction, _permit: permit }
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { interrupt, transaction, _permit } = self;
        interrupt.disarm();
        transaction.commit().await
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn rollback(self) -> Result<(), DbErr> {
        let Self { interrupt, transaction, _permit } = self;
        interrupt.disarm();
        transaction.rollback().await
    }
}

impl Deref for WriteTransaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

/// Executes statements in the transaction.
#[async_trait]
impl ConnectionTrait for WriteTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.transaction.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.transaction.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.transaction.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.transaction.query_all_raw(statement).await
    }
}
