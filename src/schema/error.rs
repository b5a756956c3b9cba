//! Errors as clients see them: top-level errors with a code, and the typed `userErrors`.

use async_graphql::resolver_utils::EnumType as _;
use async_graphql::{Enum, ErrorExtensionValues, ErrorExtensions as _, Interface, SimpleObject};

use super::Outcome;
use crate::error::{Error, UserError, UserErrorKind};
use crate::page::MAX_SIZE;
use crate::trace::Work;

/// The codes of top-level errors, in `extensions.code`.
pub mod code {
    pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    pub const FORBIDDEN: &str = "FORBIDDEN";
    pub const PAGE_SIZE_OUT_OF_RANGE: &str = "PAGE_SIZE_OUT_OF_RANGE";
    pub const ARGUMENT_OUT_OF_RANGE: &str = "ARGUMENT_OUT_OF_RANGE";
    pub const INVALID_CURSOR: &str = "INVALID_CURSOR";
    pub const INVALID_ID: &str = "INVALID_ID";
    pub const RATE_LIMITED: &str = "RATE_LIMITED";
    pub const UNAVAILABLE: &str = "UNAVAILABLE";
    pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
    pub const INTERNAL: &str = "INTERNAL";
    /// Before a document runs:
    pub const BAD_REQUEST: &str = "BAD_REQUEST";
    pub const CSRF_PREVENTED: &str = "CSRF_PREVENTED";
    pub const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
    pub const DOCUMENT_NOT_TRUSTED: &str = "DOCUMENT_NOT_TRUSTED";
    pub const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
    pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
    pub const QUERY_TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
    pub const TIMEOUT: &str = "TIMEOUT";
    /// On a WebSocket, before an operation runs:
    pub const TOO_MANY_OPERATIONS: &str = "TOO_MANY_OPERATIONS";
}

/// The code of an error, if it has one.
pub fn code_of(error: &async_graphql::ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        async_graphql::Value::String(code) => Some(code),
        _ => None,
    }
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
                "Ask for a page with either first or last, from 1 to 100.",
                (1, MAX_SIZE),
            ),
            Error::OutOfRange { argument, min, max } => range(
                code::ARGUMENT_OUT_OF_RANGE,
                &format!("The argument {argument} must be from {min} to {max}."),
                (min, max),
            ),
            Error::InvalidCursor => coded(
                code::INVALID_CURSOR,
                "This is not a cursor of this field. Take cursors from edges and pageInfo.",
            ),
            Error::InvalidId => {
                coded(code::INVALID_ID, "This is not an id of the kind that is wanted here.")
            }
            Error::AnswerTooLarge => coded(
                code::QUERY_TOO_COMPLEX,
                "The answer is too large. Ask for smaller pages or fewer texts.",
            ),
            Error::RateLimited { retry_after } => Self::new(format!(
                "This is more than you may ask for in a minute. Try again in {} seconds.",
                retry_after.as_secs()
            ))
            .extend_with(|_, extensions| {
                extensions.set("code", code::RATE_LIMITED);
                extensions.set("retryAfterSeconds", retry_after.as_secs());
            }),
            Error::Unwritable => coded(
                code::UNAVAILABLE,
                "The database cannot be written: its disk is full, or fails, or is write-protected. Nothing was changed.",
            ),
            Error::Unavailable | Error::Conflict => {
                coded(code::UNAVAILABLE, "The service is busy. Try again in a moment.")
            }
            Error::Timeout => coded(code::TIMEOUT, "This took too long and was given up."),
            Error::OutcomeUnknown => coded(
                code::OUTCOME_UNKNOWN,
                "The database went away while it wrote. Look whether the change was made.",
            ),
            // Expected failures never leave a mutation as errors; if one does, it is our mistake.
            Error::Internal | Error::Expected(_) => {
                coded(code::INTERNAL, "Something went wrong here. It has been logged.").extend_with(
                    |_, extensions| extensions.set("requestId", Work::current().to_string()),
                )
            }
        }
    }
}

/// What kind of expected failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// A value that breaks a rule; the message says which.
    InvalidInput,
    /// What the arguments name does not exist.
    NotFound,
    /// The action is for other users than the viewer.
    SelfTarget,
    /// The viewer follows as many as they may, altogether or on this day.
    FollowLimitReached,
    /// Too much at once; try again after `retryAfterSeconds`.
    TooManyRequests,
    /// Somebody else has the username; case makes no difference.
    UsernameTaken,
    /// Somebody has registered with the e-mail address.
    EmailTaken,
    /// A password is wrong, or there is no such user.
    InvalidCredentials,
}

/// An expected failure of a mutation, meant for the person at the screen.
#[derive(Interface)]
#[graphql(
    name = "UserError",
    field(name = "code", ty = "&UserErrorCode", desc = "What kind of failure it is."),
    field(name = "message", ty = "&String", desc = "What is wrong, in English, in a sentence."),
    field(
        name = "path",
        ty = "&Option<Vec<String>>",
        desc = "The argument at fault, from the field's arguments down, such as `[\"input\", \"email\"]`."
    )
)]
pub enum UserErrorInterface {
    InvalidInput(InvalidInputError),
    NotFound(NotFoundError),
    SelfTarget(SelfTargetError),
    Taken(TakenError),
    Credentials(CredentialsError),
    FollowLimit(FollowLimitError),
    TooManyRequests(TooManyRequestsError),
}

macro_rules! user_errors {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, SimpleObject)]
        pub struct $name {
            /// What kind of failure it is.
            code: UserErrorCode,
            /// What is wrong, in English, in a sentence.
            message: String,
            /// The argument at fault, from the field's arguments down.
            path: Option<Vec<String>>,
            $($(#[$field_doc])* $field: $type,)?
        }
    )*};
}

user_errors! {
    /// A value that breaks a rule; nothing was changed.
    InvalidInputError {}
    /// What the arguments name does not exist.
    NotFoundError {}
    /// The viewer cannot do this to themselves.
    SelfTargetError {}
    /// Somebody else has the username or the e-mail address.
    TakenError {}
    /// A password is wrong, or there is no such user.
    CredentialsError {}
    /// The viewer follows as many as they may; nothing was changed.
    FollowLimitError {
        /// How many that is: altogether, or on one day in UTC, as the message says.
        limit: i32
    }
    /// Too much at once; nothing was changed.
    TooManyRequestsError {
        /// Try again after this many seconds.
        retry_after_seconds: i32
    }
}

impl From<&UserErrorKind> for UserErrorCode {
    fn from(kind: &UserErrorKind) -> Self {
        match kind {
            UserErrorKind::InvalidInput => Self::InvalidInput,
            UserErrorKind::NotFound => Self::NotFound,
            UserErrorKind::SelfTarget => Self::SelfTarget,
            UserErrorKind::UsernameTaken => Self::UsernameTaken,
            UserErrorKind::EmailTaken => Self::EmailTaken,
            UserErrorKind::InvalidCredentials => Self::InvalidCredentials,
            UserErrorKind::FollowLimit { .. } => Self::FollowLimitReached,
            UserErrorKind::TooManyRequests { .. } => Self::TooManyRequests,
        }
    }
}

/// The code of an expected failure, as clients read it.
pub fn user_code_of(error: &UserError) -> &'static str {
    let code = UserErrorCode::from(&error.kind);
    let item = UserErrorCode::items().iter().find(|item| item.value == code);
    item.map_or("", |item| item.name)
}

impl From<&UserError> for UserErrorInterface {
    fn from(error: &UserError) -> Self {
        macro_rules! become_a {
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
            UserErrorKind::InvalidInput => become_a!(InvalidInput(InvalidInputError)),
            UserErrorKind::NotFound => become_a!(NotFound(NotFoundError)),
            UserErrorKind::SelfTarget => become_a!(SelfTarget(SelfTargetError)),
            UserErrorKind::UsernameTaken => become_a!(Taken(TakenError)),
            UserErrorKind::EmailTaken => become_a!(Taken(TakenError)),
            UserErrorKind::InvalidCredentials => {
                become_a!(Credentials(CredentialsError))
            }
            UserErrorKind::FollowLimit { limit } => {
                become_a!(FollowLimit(FollowLimitError), limit: limit)
            }
            UserErrorKind::TooManyRequests { retry_after } => become_a!(
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
