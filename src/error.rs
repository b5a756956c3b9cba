//! The errors of all layers.
//!
//! A [`UserError`] is an expected failure of a mutation, which the payload carries as data. Every
//! other [`Error`] becomes a top-level GraphQL error with a code (`schema/error.rs`). The types do
//! not implement `Display`, because async-graphql converts any type that does into an error without
//! a code.

use std::time::Duration;

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

/// Why a request or a field failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The request needs a viewer and is anonymous, or its token is not valid.
    Unauthenticated(&'static str),
    /// The viewer may not do this.
    Forbidden(&'static str),
    /// The size of a page is not from 1 to 100, or both `first` and `last` are given.
    PageSizeOutOfRange,
    /// The text is not a cursor of this list.
    InvalidCursor,
    /// The cursor `after` does not precede the cursor `before` in the list.
    CursorsReversed,
    /// The text is not a global id of the expected type.
    InvalidId,
    /// A row was deleted between two reads of the request.
    Deleted,
    /// An argument is not from `min` to `max`, in the argument's unit.
    OutOfRange { argument: &'static str, min: i32, max: i32 },
    /// The texts in the response exceed `--max-response-text-bytes`.
    ResponseTooLarge,
    /// The statements of the operation would look up more than `max` rows.
    TooMuchWork { max: usize },
    /// A list has more than `max` entries, which this order does not support.
    ListTooLarge { max: i32 },
    /// A path between two users was not found among `max` follows.
    PathTooExpensive { max: usize },
    /// The rate limit of the client is exceeded.
    RateLimited {
        /// Time until the request can succeed.
        retry_after: Duration,
    },
    /// The disk is full, fails or is write-protected. Nothing was changed.
    StorageReadOnly,
    /// The server or the database is overloaded or down.
    ///
    /// Nothing was changed. A later retry may succeed.
    Unavailable,
    /// A concurrent write conflicted.
    ///
    /// Nothing was changed. An immediate retry may succeed.
    Conflict,
    /// A statement exceeded its timeout. Nothing was changed.
    Timeout,
    /// The connection broke during a commit, which may have succeeded or not.
    OutcomeUnknown,
    /// A bug or an unexpected failure, which was logged and is not shown to the client.
    Internal,
    /// Expected failures of a mutation, which the payload carries as `userErrors`.
    Expected(Vec<UserError>),
}

/// An expected failure of a mutation, with a message for the user of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserError {
    /// The kind of failure, from which its code derives.
    pub kind: UserErrorKind,
    /// The reason, as an English sentence.
    pub message: String,
    /// The path to the argument at fault, such as `["input", "email"]`.
    ///
    /// Empty if no argument is at fault.
    pub path: Vec<&'static str>,
}

/// The kind of an expected failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserErrorKind {
    /// A value breaks a rule.
    InvalidInput,
    /// An argument names an object that does not exist.
    NotFound,
    /// The viewer is the target of an action that is for other users.
    SelfTarget,
    /// One of the two users blocks the other.
    Blocked,
    /// Another user has the username, compared without regard to case.
    UsernameTaken,
    /// Another user has the e-mail address.
    EmailTaken,
    /// The password is wrong, or the user does not exist.
    InvalidCredentials,
    /// The operator has disabled registrations and logins with a password.
    PasswordLoginDisabled,
    /// The viewer has reached a limit of follows: in total or per day.
    FollowLimit { limit: i32 },
    /// Too many attempts; another one can succeed after `retry_after`.
    TooManyRequests { retry_after: Duration },
    /// The viewer used the idempotency key with another input.
    IdempotencyMismatch,
    /// The token of a mail does not exist, has expired or was used.
    InvalidToken,
    /// The viewer's e-mail address is not verified, and the operator requires it.
    EmailNotVerified,
}

impl UserErrorKind {
    /// A failure of this kind at the argument `path`.
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
        // Writes lock or read every row that they refer to in their transaction, except the
        // viewer's.
        if let Some(SqlErr::ForeignKeyConstraintViolation(_)) = error.sql_err() {
            return Self::account_changed();
        }
        let transient = transient(&error);
        match transient {
            Some(Self::Conflict) => tracing::debug!(%error, "a write conflicted with another"),
            Some(_) => tracing::warn!(%error, "the database is unavailable"),
            None => tracing::error!(%error, "a statement failed"),
        }
        transient.unwrap_or(Self::Internal)
    }
}

impl Error {
    /// Logs a bug. The client receives only the code `INTERNAL`.
    pub fn internal(what: &str) -> Self {
        tracing::error!(what, "internal error");
        Self::Internal
    }

    /// The error when the viewer's account changed during the request.
    ///
    /// The account was deleted, or its password was changed.
    pub fn account_changed() -> Self {
        Self::Unauthenticated("The account has changed. Log in again.")
    }
}

/// The error of a failed insert or update of a user's row.
///
/// The unique indexes of the database decide whether a username or an e-mail address is taken, so
/// that concurrent registrations are safe.
pub fn from_unique_violation(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) if what.contains("email") => {
            let message = "This e-mail address is already registered.";
            UserErrorKind::EmailTaken.at(&["input", "email"], message).into()
        }
        Some(SqlErr::UniqueConstraintViolation(what)) if what.contains("user_username") => {
            let message = "This username is taken.";
            UserErrorKind::UsernameTaken.at(&["input", "username"], message).into()
        }
        _ if matches!(error, DbErr::RecordNotUpdated) => Error::account_changed(),
        _ => error.into(),
    }
}

/// Whether a constraint of PostgreSQL makes the ids of a table unique.
///
/// The primary key of feed items has the actor, too. An index of its own makes their ids unique.
fn is_unique_id(constraint: &str) -> bool {
    constraint.ends_with("_pkey") || constraint == "feed_item_id"
}

/// The error of a transient failure; `None` if the failure is not transient.
fn transient(error: &DbErr) -> Option<Error> {
    match error {
        DbErr::ConnectionAcquire(_) => Some(Error::Unavailable),
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::BeginFailed => Some(Error::Unavailable),
            sqlx::Error::Database(error) => from_sqlstate(&**error),
            _ => None,
        },
        _ => None,
    }
}

/// The error of a database error code.
///
/// PostgreSQL's SQLSTATE has five characters. SQLite's result codes are decimal numbers with up to
/// four digits.
fn from_sqlstate(error: &dyn DatabaseError) -> Option<Error> {
    /// Primary result codes, the low byte of SQLite's extended ones.
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_READONLY: u32 = 8;
    const SQLITE_FULL: u32 = 13;
    /// `SQLITE_IOERR_WRITE`, `_FSYNC`, `_TRUNCATE` and `_SHMSIZE`.
    const SQLITE_IOERR_WRITES: [u32; 4] = [0x030a, 0x040a, 0x060a, 0x130a];
    let code = error.code()?;
    match (code.len(), &*code) {
        // unique_violation of an id: another instance generated the same one.
        (_, "23505") if error.constraint().is_some_and(is_unique_id) => Some(Error::Conflict),
        // serialization_failure, deadlock_detected
        (_, "40001" | "40P01") => Some(Error::Conflict),
        // query_canceled, by the statement timeout
        (_, "57014") => Some(Error::Timeout),
        // lock_not_available, admin_shutdown, crash_shutdown, cannot_connect_now,
        // idle_session_timeout, idle_in_transaction_session_timeout, too_many_connections,
        // read_only_sql_transaction (the primary has become a standby)
        (_, "55P03" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "25006") => {
            Some(Error::Unavailable)
        }
        // disk_full
        (_, "53100") => Some(Error::StorageReadOnly),
        // Class 08: connection exceptions
        (5, code) if code.starts_with("08") => Some(Error::Unavailable),
        (1..5, code) => {
            let code: u32 = code.parse().ok()?;
            match code & 0xff {
                SQLITE_BUSY => Some(Error::Unavailable),
                SQLITE_READONLY | SQLITE_FULL => Some(Error::StorageReadOnly),
                _ if SQLITE_IOERR_WRITES.contains(&code) => Some(Error::StorageReadOnly),
                _ => None,
            }
        }
        _ => None,
    }
}
