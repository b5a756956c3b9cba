//! A pool that reads: the database's own, or a replica's.

use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel,
    TransactionTrait as _,
};

#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub connection: DatabaseConnection,
    /// Transactions see one moment without being told to: always on SQLite, and on PostgreSQL when our
    /// settings reach the server.
    pub settled: bool,
}

impl Reader {
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        if self.settled {
            return self.connection.begin().await;
        }
        let moment = (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly));
        self.connection.begin_with_config(moment.0, moment.1).await
    }
}
