//! A pool that reads: the database's own, or a replica's. And how a transaction begins on a connection
//! whose server may have gone since it was last used.

use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, RuntimeErr,
    TransactionOptions, TransactionTrait as _, sqlx,
};

/// More connections than a pool has, each of which may be a broken one.
const MAX_TRIES: usize = 65;

#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub connection: DatabaseConnection,
    /// Transactions see one moment without being told to: always on SQLite, and on PostgreSQL when our
    /// settings reach the server.
    pub settled: bool,
}

impl Reader {
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let moment = if self.settled {
            TransactionOptions::default()
        } else {
            TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..Default::default()
            }
        };
        begin(&self.connection, moment).await
    }
}

/// Nothing has happened yet when a transaction fails to begin: a broken connection makes room for the
/// next.
pub(super) async fn begin(
    pool: &DatabaseConnection,
    options: TransactionOptions,
) -> Result<DatabaseTransaction, DbErr> {
    let mut begun = pool.begin_with_options(options).await;
    for _ in 1..MAX_TRIES {
        if !begun.as_ref().is_err_and(is_broken) {
            break;
        }
        begun = pool.begin_with_options(options).await;
    }
    begun
}

fn is_broken(error: &DbErr) -> bool {
    let (DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    match &**error {
        sqlx::Error::Io(_) => true,
        // The server's last words to a connection that it has closed.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["57P01", "57P02", "57P05", "25P03"].contains(&&*code))
        }
        _ => false,
    }
}
