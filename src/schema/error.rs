//! Errors in responses: top-level errors with a code, and typed `userErrors`.
//!
//! An [`Error`] becomes a top-level error, except [`Error::Expected`], whose [`UserError`]s are
//! data of the mutation's payload. The codes and the HTTP statuses are listed in docs/errors.md.

use async_graphql::resolver_utils::EnumType as _;
use async_graphql::{
    Enum, ErrorExtensionValues, ErrorExtensions as _, Interface, Pos, ServerError, SimpleObject,
};

use super::Outcome;
use crate::error::{Error, UserError, UserErrorKind};
use crate::pagination::MAX_PAGE_SIZE;
use crate::telemetry::RequestScope;

/// The codes of top-level errors, in `extensions.code`.
pub mod code {
    pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    pub const FORBIDDEN: &str = "FORBIDDEN";
    pub const PAGE_SIZE_OUT_OF_RANGE: &str = "PAGE_SIZE_OUT_OF_RANGE";
    pub const ARGUMENT_OUT_OF_RANGE: &str = "ARGUMENT_OUT_OF_RANGE";
    pub const INVALID_CURSOR: &str = "INVALID_CURSOR";
    pub const INVALID_ID: &str = "INVALID_ID";
    pub const NOT_FOUND: &str = "NOT_FOUND";
    pub const LIST_TOO_LARGE: &str = "LIST_TOO_LARGE";
    pub const PATH_TOO_EXPENSIVE: &str = "PATH_TOO_EXPENSIVE";
    pub const RATE_LIMITED: &str = "RATE_LIMITED";
    pub const UNAVAILABLE: &str = "UNAVAILABLE";
    pub const TIMEOUT: &str = "TIMEOUT";
    pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
    pub const INTERNAL: &str = "INTERNAL";
    // Of requests that are rejected before their execution:
    pub const BAD_REQUEST: &str = "BAD_REQUEST";
    pub const CSRF_PREVENTED: &str = "CSRF_PREVENTED";
    pub const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
    pub const DOCUMENT_NOT_TRUSTED: &str = "DOCUMENT_NOT_TRUSTED";
    pub const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
    pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
    pub const QUERY_TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
    // Of operations and streams over their limit, on WebSockets and server-sent events:
    pub const TOO_MANY_OPERATIONS: &str = "TOO_MANY_OPERATIONS";
}

/// The code of an error, if it has one.
pub fn code_of(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        async_graphql::Value::String(code) => Some(code),
        _ => None,
    }
}

/// An error with a code and without a location.
pub fn with_code(code: &str, message: impl Into<String>) -> ServerError {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    error
}

/// The error of a request that was not executed: it has a code and no location.
pub fn server_error(error: Error) -> ServerError {
    let error: async_graphql::Error = error.into();
    let mut error = error.into_server_error(Pos::default());
    error.locations.clear();
    error
}

impl From<Error> for async_graphql::Error {
    fn from(error: Error) -> Self {
        let coded = |code: &'static str, message: &str| {
            Self::new(message).extend_with(|_, extensions| extensions.set("code", code))
        };
        let range = |code, message: &str, (min, max): (i32, i32)| {
            let set = |extensions: &mut ErrorExtensionValues| {
                extensions.set("code", code);
                extensions.set("min", min);
                extensions.set("max", max);
            };
            Self::new(message).extend_with(|_, extensions| set(extensions))
        };
        match error {
            Error::Unauthenticated(why) => coded(code::UNAUTHENTICATED, why),
            Error::Forbidden(why) => coded(code::FORBIDDEN, why),
            Error::PageSizeOutOfRange => range(
                code::PAGE_SIZE_OUT_OF_RANGE,
                "Use either first or last, with a value from 1 to 100.",
                (1, MAX_PAGE_SIZE),
            ),
            Error::OutOfRange { argument, min, max } => range(
                code::ARGUMENT_OUT_OF_RANGE,
                &format!(
                    "The value or length of the argument {argument} must be from {min} to {max}."
                ),
                (min, max),
            ),
            Error::InvalidCursor => {
                coded(code::INVALID_CURSOR, "The cursor is invalid, or belongs to another field.")
            }
            Error::CursorsReversed => {
                coded(code::INVALID_CURSOR, "The cursor 'after' must precede the cursor 'before'.")
            }
            Error::InvalidId => {
                coded(code::INVALID_ID, "The id is invalid, or belongs to another type of object.")
            }
            Error::Deleted => {
                coded(code::NOT_FOUND, "The object was deleted while the request was executed.")
            }
            Error::ResponseTooLarge => coded(
                code::QUERY_TOO_COMPLEX,
                "The response has too much text. Request smaller pages or fewer texts.",
            ),
            Error::TooMuchWork { max } => Self::new(format!(
                "The operation reads more than {max} rows. Request smaller pages, or timelines of \
                 fewer users."
            ))
            .extend_with(|_, extensions| extensions.set("code", code::QUERY_TOO_COMPLEX)),
            Error::ListTooLarge { max } => coded(
                code::LIST_TOO_LARGE,
                &format!("The list has more than {max} entries. Use the default order."),
            ),
            Error::PathTooExpensive { max } => coded(
                code::PATH_TOO_EXPENSIVE,
                &format!("No path was found among {max} follows. Use a smaller maxLength."),
            ),
            Error::RateLimited { retry_after } => Self::new(format!(
                "Rate limit exceeded. Retry in {} seconds.",
                retry_after.as_secs()
            ))
            .extend_with(|_, extensions| {
                extensions.set("code", code::RATE_LIMITED);
                extensions.set("retryAfterSeconds", retry_after.as_secs());
            }),
            Error::StorageReadOnly => coded(
                code::UNAVAILABLE,
                "The database is not writable: its disk is full, failing or write-protected. \
                 Nothing was changed.",
            ),
            Error::Unavailable | Error::Conflict => {
                coded(code::UNAVAILABLE, "The service is temporarily unavailable. Retry later.")
            }
            Error::Timeout => coded(code::TIMEOUT, "A database statement timed out."),
            Error::OutcomeUnknown => coded(
                code::OUTCOME_UNKNOWN,
                "The database became unavailable during the write. Check whether the change was \
                 made before you send it again.",
            ),
            // `run_mutation` turns expected failures into data, so one that arrives here is a bug.
            Error::Internal | Error::Expected(_) => {
                coded(code::INTERNAL, "Internal error. The server log has the requestId.")
                    .extend_with(|_, extensions| {
                        extensions.set("requestId", RequestScope::current().to_string());
                    })
            }
        }
    }
}

/// The code of an expected failure of a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// A value breaks a rule. The message says which rule.
    InvalidInput,
    /// The user or post that an argument names does not exist.
    NotFound,
    /// The target of the mutation is the viewer's own user.
    SelfTarget,
    /// The viewer blocks the target of the mutation, or the target blocks the viewer.
    Blocked,
    /// The viewer has made the maximum number of follows, in total or today (UTC).
    FollowLimitReached,
    /// Too many attempts with credentials, or posts of the day.
    ///
    /// Retry after `retryAfterSeconds`.
    TooManyRequests,
    /// Another account has the username. Case is ignored.
    UsernameTaken,
    /// Another account has the e-mail address.
    EmailTaken,
    /// The password is wrong, or there is no such user.
    InvalidCredentials,
    /// The operator has disabled passwords. Sign in with the identity provider.
    PasswordLoginDisabled,
    /// The viewer used the idempotency key with another input in the last 24 hours.
    IdempotencyMismatch,
    /// The token of a mail is not valid, has expired or was used.
    InvalidToken,
    /// The operator requires a verified e-mail address, and the viewer's is not.
    EmailNotVerified,
}

/// An expected failure of a mutation.
///
/// Its message is meant for the user of the application.
#[derive(Interface)]
#[graphql(
    name = "UserError",
    field(name = "code", ty = "&UserErrorCode", desc = "The code of the failure."),
    field(name = "message", ty = "&String", desc = "The failure in one English sentence."),
    field(
        name = "path",
        ty = "&Option<Vec<String>>",
        desc = "Names from the argument to the invalid value, such as `input`, `email`. Null if no \
                single argument is invalid."
    )
)]
pub enum UserErrorInterface {
    InvalidInput(InvalidInputError),
    NotFound(NotFoundError),
    SelfTarget(SelfTargetError),
    Blocked(BlockedError),
    Taken(TakenError),
    Credentials(CredentialsError),
    FollowLimit(FollowLimitError),
    TooManyRequests(TooManyRequestsError),
    Idempotency(IdempotencyError),
    InvalidToken(InvalidTokenError),
    EmailNotVerified(EmailNotVerifiedError),
}

macro_rules! user_errors {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, SimpleObject)]
        pub struct $name {
            /// The code of the failure.
            code: UserErrorCode,
            /// The failure in one English sentence.
            message: String,
            /// Names from the argument to the invalid value, such as `input`, `email`.
            ///
            /// Null if no single argument is invalid.
            path: Option<Vec<String>>,
            $($(#[$field_doc])* $field: $type,)?
        }
    )*};
}

user_errors! {
    /// A value breaks a rule. Nothing was changed.
    InvalidInputError {}
    /// The user or post that an argument names does not exist. Nothing was changed.
    NotFoundError {}
    /// The target of the mutation is the viewer's own user. Nothing was changed.
    SelfTargetError {}
    /// The viewer blocks the target of the mutation, or the target blocks the viewer.
    ///
    /// Nothing was changed.
    BlockedError {}
    /// Another account has the username or the e-mail address. Nothing was changed.
    TakenError {}
    /// The password is wrong, there is no such user, or passwords are disabled.
    ///
    /// Nothing was changed.
    CredentialsError {}
    /// The viewer has made the maximum number of follows. Nothing was changed.
    FollowLimitError {
        /// The maximum number of users to follow in total, or of follows per day (UTC).
        ///
        /// The message says which.
        limit: i32
    }
    /// Too many attempts with credentials, or posts of the day. Nothing was changed.
    TooManyRequestsError {
        /// Seconds to wait before the next attempt.
        retry_after_seconds: i32
    }
    /// The viewer used the idempotency key with another input. Nothing was changed.
    IdempotencyError {}
    /// The token of a mail is not valid, has expired or was used. Nothing was changed.
    InvalidTokenError {}
    /// The operator requires a verified e-mail address, and the viewer's is not.
    ///
    /// Nothing was changed. `resendVerification` sends another mail.
    EmailNotVerifiedError {}
}

impl From<&UserErrorKind> for UserErrorCode {
    fn from(kind: &UserErrorKind) -> Self {
        match kind {
            UserErrorKind::InvalidInput => Self::InvalidInput,
            UserErrorKind::NotFound => Self::NotFound,
            UserErrorKind::SelfTarget => Self::SelfTarget,
            UserErrorKind::Blocked => Self::Blocked,
            UserErrorKind::UsernameTaken => Self::UsernameTaken,
            UserErrorKind::EmailTaken => Self::EmailTaken,
            UserErrorKind::InvalidCredentials => Self::InvalidCredentials,
            UserErrorKind::PasswordLoginDisabled => Self::PasswordLoginDisabled,
            UserErrorKind::FollowLimit { .. } => Self::FollowLimitReached,
            UserErrorKind::TooManyRequests { .. } => Self::TooManyRequests,
            UserErrorKind::IdempotencyMismatch => Self::IdempotencyMismatch,
            UserErrorKind::InvalidToken => Self::InvalidToken,
            UserErrorKind::EmailNotVerified => Self::EmailNotVerified,
        }
    }
}

/// The code of an expected failure, as in the schema.
pub fn user_code_of(error: &UserError) -> &'static str {
    let code = UserErrorCode::from(&error.kind);
    let item = UserErrorCode::items().iter().find(|item| item.value == code);
    item.map_or("", |item| item.name)
}

impl From<&UserError> for UserErrorInterface {
    fn from(error: &UserError) -> Self {
        macro_rules! variant {
            ($variant:ident($type:ident) $(, $field:ident: $value:expr)?) => {
                Self::$variant($type {
                    code: UserErrorCode::from(&error.kind),
                    message: error.message.clone(),
                    path: (!error.path.is_empty())
                        .then(|| error.path.iter().map(ToString::to_string).collect()),
                    $($field: $value,)?
                })
            };
        }
        match error.kind {
            UserErrorKind::InvalidInput => variant!(InvalidInput(InvalidInputError)),
            UserErrorKind::NotFound => variant!(NotFound(NotFoundError)),
            UserErrorKind::SelfTarget => variant!(SelfTarget(SelfTargetError)),
            UserErrorKind::Blocked => variant!(Blocked(BlockedError)),
            UserErrorKind::UsernameTaken => variant!(Taken(TakenError)),
            UserErrorKind::EmailTaken => variant!(Taken(TakenError)),
            UserErrorKind::InvalidCredentials | UserErrorKind::PasswordLoginDisabled => {
                variant!(Credentials(CredentialsError))
            }
            UserErrorKind::FollowLimit { limit } => {
                variant!(FollowLimit(FollowLimitError), limit: limit)
            }
            UserErrorKind::IdempotencyMismatch => variant!(Idempotency(IdempotencyError)),
            UserErrorKind::InvalidToken => variant!(InvalidToken(InvalidTokenError)),
            UserErrorKind::EmailNotVerified => {
                variant!(EmailNotVerified(EmailNotVerifiedError))
            }
            UserErrorKind::TooManyRequests { retry_after } => variant!(
                TooManyRequests(TooManyRequestsError),
                retry_after_seconds: i32::try_from(retry_after.as_secs()).unwrap_or(i32::MAX)
            ),
        }
    }
}

/// The `userErrors` of a payload.
pub fn user_errors<T>(outcome: &Outcome<T>) -> Vec<UserErrorInterface> {
    outcome.as_ref().err().into_iter().flatten().map(Into::into).collect()
}
