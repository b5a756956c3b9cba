//! Everything that can go wrong, once. [`UserError`]s are expected and travel as data in payloads;
//! every other [`Error`] becomes a top-level GraphQL error with a code (`schema/error.rs`).
//!
//! There is no `Display` here on purpose: the GraphQL library turns whatever can be displayed into
//! an error without a code.

use std::time::Duration;

use sea_orm::sqlx::error::DatabaseError;
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
    /// The texts that were asked for have no room in one answer.
    AnswerTooLarge,
    /// Too much has been asked for in this minute.
    RateLimited {
        retry_after: Duration,
    },
    /// The disk is full, or may not be written; nothing was changed.
    Unwritable,
    /// The database is busy or gone; nothing was changed, and the same request may pass later.
    Unavailable,
    /// Somebody else's write got in the way; nothing was changed, and the same may pass at once.
    Conflict,
    /// The database took too long; nothing was changed.
    Timeout,
    /// The database went away while it was committing: it is not known whether the change was made.
    OutcomeUnknown,
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
    FollowLimit { limit: i32 },
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
        let known = temporary(&error);
        match known {
            Some(Self::Conflict) => tracing::debug!(%error, "two writes got in each other's way"),
            Some(_) => tracing::warn!(%error, "the database is busy or gone"),
            None => tracing::error!(%error, "the database refused a statement"),
        }
        known.unwrap_or(Self::Internal)
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

/// Nobody's fault, and gone in a moment.
fn temporary(error: &DbErr) -> Option<Error> {
    match error {
        DbErr::ConnectionAcquire(_) => Some(Error::Unavailable),
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::BeginFailed => Some(Error::Unavailable),
            sqlx::Error::Database(error) => by_code(&**error),
            _ => None,
        },
        _ => None,
    }
}

/// SQLite's result codes are numbers; PostgreSQL's have five characters.
fn by_code(error: &dyn DatabaseError) -> Option<Error> {
    /// The low byte of SQLite's extended codes.
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_READONLY: u32 = 8;
    const SQLITE_FULL: u32 = 13;
    /// Extended ones: to write, sync, cut or lengthen a file.
    const NOT_WRITTEN: [u32; 4] = [0x030a, 0x040a, 0x060a, 0x130a];
    let code = error.code()?;
    match (code.len(), &*code) {
        // Another instance made the same key at the same moment.
        (_, "23505") if error.constraint().is_some_and(|name| name.ends_with("_pkey")) => {
            Some(Error::Conflict)
        }
        // Serialization failure, deadlock.
        (_, "40001" | "40P01") => Some(Error::Conflict),
        // Canceled by the statement timeout.
        (_, "57014") => Some(Error::Timeout),
        // A lock not to be had in time, the server shutting down, crashed or starting, a connection
        // that it closed for idling, none left, a primary that has become a replica.
        (_, "55P03" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "25006") => {
            Some(Error::Unavailable)
        }
        // The disk is full.
        (_, "53100") => Some(Error::Unwritable),
        // Connection failures.
        (5, code) if code.starts_with("08") => Some(Error::Unavailable),
        (1..5, code) => {
            let code: u32 = code.parse().ok()?;
            match code & 0xff {
                SQLITE_BUSY => Some(Error::Unavailable),
                SQLITE_READONLY | SQLITE_FULL => Some(Error::Unwritable),
                _ if NOT_WRITTEN.contains(&code) => Some(Error::Unwritable),
                _ => None,
            }
        }
        _ => None,
    }
}
