//! A pool that reads: the database's own, or a replica's. And how a transaction begins: on a connection
//! whose server may have gone since it was last used, and not by half.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, RuntimeErr,
    TransactionOptions, TransactionTrait as _, sqlx,
};

use super::postgres;

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
    let once = || Beginning(Some(Box::pin(pool.begin_with_options(options))));
    let mut begun = once().await;
    for _ in 1..MAX_TRIES {
        if !begun.as_ref().is_err_and(is_broken) {
            break;
        }
        begun = once().await;
    }
    begun
}

/// A BEGIN whose giving up is noted, before its connection goes back.
struct Beginning<'a>(Option<BoxFuture<'a, Result<DatabaseTransaction, DbErr>>>);

impl Future for Beginning<'_> {
    type Output = Result<DatabaseTransaction, DbErr>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(beginning) = &mut self.0 else { return Poll::Pending };
        let begun = beginning.as_mut().poll(cx);
        if begun.is_ready() {
            self.0 = None;
        }
        begun
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if self.0.is_some() {
            postgres::note_given_up();
        }
    }
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
