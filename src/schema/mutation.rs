//! Runs the domain's writes for mutations.

use std::time::Duration;

use async_graphql::Context;

use super::context::{loaders, request, services};
use crate::error::{Error, UserError};
use crate::retry::with_retries;

/// The result of a mutation: its value, or the user errors.
pub type Outcome<T> = Result<T, Vec<UserError>>;

/// How often a write is attempted while it conflicts with other writes.
const MAX_ATTEMPTS: u32 = 10;
/// Maximum of the random delay before the second attempt.
///
/// It doubles for each further attempt, up to 32 times this value.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(4);

/// Mutations of the account itself, which need no verified e-mail address.
///
/// `updateProfile` is possible for the address only, which the domain checks.
const ACCOUNT_MUTATIONS: [&str; 11] = [
    "register",
    "login",
    "logout",
    "revokeSession",
    "changePassword",
    "deleteAccount",
    "updateProfile",
    "verifyEmail",
    "resendVerification",
    "requestPasswordReset",
    "resetPassword",
];

/// Runs a write of the domain and turns expected failures into data.
///
/// Every mutation passes through here, so this is where a verified e-mail address is required.
///
/// During the write, the request holds no connection for reading. Later reads use a new snapshot.
///
/// # Errors
/// Any other error of the write.
pub async fn run_mutation<T, F>(
    ctx: &Context<'_>,
    write: impl Fn() -> F,
) -> Result<Outcome<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loaders(ctx).clear().await;
    let is_conflict = |error: &Error| *error == Error::Conflict;
    // The delay is random, so that the same writes do not conflict again.
    let delay = |attempt: u32| {
        let max = FIRST_RETRY_DELAY * 2u32.pow(attempt.min(6) - 1);
        tokio::time::sleep(max.mul_f32(rand::random()))
    };
    let result = match check_email_verified(ctx) {
        Ok(()) => with_retries(MAX_ATTEMPTS, is_conflict, delay, write).await,
        Err(error) => Err(error),
    };
    if matches!(result, Ok(_) | Err(Error::OutcomeUnknown)) {
        request(ctx).mark_written();
    }
    loaders(ctx).clear().await;
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Expected(errors)) => {
            request(ctx).record_user_errors(&errors);
            Ok(Err(errors))
        }
        Err(error) => Err(error),
    }
}

/// Checks that the viewer has a verified e-mail address, if the mutation needs it.
fn check_email_verified(ctx: &Context<'_>) -> Result<(), Error> {
    let is_of_account = ACCOUNT_MUTATIONS.contains(&ctx.field().name());
    match request(ctx).viewer() {
        Some(viewer) if !is_of_account => services(ctx).check_email_verified(&viewer),
        _ => Ok(()),
    }
}
