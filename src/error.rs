//! Everything that can go wrong, once. [`UserError`]s are expected and travel as data in payloads;
//! every other [`Error`] becomes a top-level GraphQL error with a code (`schema/error.rs`).
//!
//! There is no `Display` here on purpose: the GraphQL library turns whatever can be displayed into
//! an error without a code.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

/// Why a request, or one field of it, has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A viewer is needed and there is none, or the token is wrong.
    Unauthenticated(&'static str),
    /// There is a viewer, and it is not theirs to do.
    Forbidden(&'static str),
    PageSizeOutOfRange,
    InvalidCursor,
    InvalidId,
    /// An argument that is not between `min` and `max`, in the argument's own unit.
    OutOfRange {
        argument: &'static str,
        min: i32,
        max: i32,
    },
    /// The database is busy; the same request may pass later.
    Unavailable,
    /// Logged where it happened, never shown.
    Internal,
    /// Expected failures of a mutation: data, not errors, to the client.
    Expected(Vec<UserError>),
}

/// An expected failure of a mutation, to be shown to the person at the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserError {
    pub kind: UserErrorKind,
    pub message: String,
    /// The argument at fault, from the field's arguments down.
    pub path: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserErrorKind {
    InvalidInput,
    NotFound,
    SelfTarget,
    UsernameTaken,
    EmailTaken,
    InvalidCredentials,
    TooManyRequests { retry_after: Duration },
}

impl UserErrorKind {
    pub fn at(self, path: &[&'static str], message: impl Into<String>) -> UserError {
        UserError { kind: self, message: message.into(), path: path.to_vec() }
    }
}

impl From<UserError> for Error {
    fn from(error: UserError) -> Self {
        Self::Expected(vec![error])
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        // Every row that a write refers to was read in its own transaction, but for the viewer's.
        if let Some(SqlErr::ForeignKeyConstraintViolation(_)) = error.sql_err() {
            return Self::gone();
        }
        if is_busy(&error) {
            tracing::warn!(%error, "the database is busy");
            return Self::Unavailable;
        }
        tracing::error!(%error, "the database refused a statement");
        Self::Internal
    }
}

impl Error {
    /// Our own mistake: `what` goes to the log, nothing of it to the client.
    pub fn internal(what: &str) -> Self {
        tracing::error!(what, "this should not be");
        Self::Internal
    }

    /// The viewer's account or password changed between the proof and the write.
    pub fn gone() -> Self {
        Self::Unauthenticated("The account has changed meanwhile. Log in again.")
    }
}

/// A write of a user's row that failed. The database is the judge of who came first.
pub fn taken(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) if what.contains("email") => {
            let message = "Somebody has registered with this e-mail address.";
            UserErrorKind::EmailTaken.at(&["input", "email"], message).into()
        }
        Some(SqlErr::UniqueConstraintViolation(what)) if what.contains("user_username") => {
            let message = "This username is taken.";
            UserErrorKind::UsernameTaken.at(&["input", "username"], message).into()
        }
        _ if matches!(error, DbErr::RecordNotUpdated) => Error::gone(),
        _ => error.into(),
    }
}

/// Nobody's fault and gone in a moment: no free connection, or another writer held on for too long.
fn is_busy(error: &DbErr) -> bool {
    /// The low byte of the extended codes.
    const SQLITE_BUSY: u32 = 5;
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => {
                let code = error.code().and_then(|code| code.parse::<u32>().ok());
                code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
            }
            _ => false,
        },
        _ => false,
    }
}
