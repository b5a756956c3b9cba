//! The proof that a client has the password of an account.
//!
//! Hashing takes place outside of transactions, because it is slow. A transaction that relies on a
//! verified password therefore locks the user and checks that the hash is still the same.

use entity::user;
use sea_orm::{ColumnTrait as _, DatabaseTransaction, DbErr};
use secrecy::SecretString;

use super::Services;
use crate::auth::{Client, Viewer};
use crate::error::{Error, UserErrorKind};
use crate::limits::{AttemptPermit, ThrottleKey};

/// Counts an attempt of the viewer to prove the password.
///
/// # Errors
/// [`Error::Expected`] with `TooManyRequests`.
pub fn count_attempt(
    services: &Services,
    viewer: &Viewer,
    client: &Client,
) -> Result<AttemptPermit, Error> {
    let key = ThrottleKey::Authenticated(viewer.id());
    services.throttle.check(client.network, Some(key))
}

/// Whether `password` is the viewer's password.
///
/// # Errors
/// [`Error::Expected`] with `TooManyRequests` when too many passwords are being hashed;
/// [`Error::Internal`] when hashing fails.
pub async fn verify_password(
    services: &Services,
    viewer: &Viewer,
    password: SecretString,
    attempt: &AttemptPermit,
) -> Result<bool, Error> {
    let stored = viewer.user().password_hash.clone();
    services.passwords.verify(password, stored, attempt).await
}

/// The user error of a wrong password in an input field.
pub fn wrong_password(field: &'static str) -> Error {
    UserErrorKind::InvalidCredentials.at(&["input", field], "The password is wrong.").into()
}

/// Texts about a user that an attacker would try first.
pub fn personal_words(username: &str, email: &str, display_name: Option<&str>) -> Vec<String> {
    let local_part = email.split('@').next().unwrap_or_default();
    let names = display_name.unwrap_or_default().split_whitespace();
    [username, email, local_part].into_iter().chain(names).map(str::to_owned).collect()
}

/// Locks a user and returns the current row.
///
/// `None` if the password was changed or the account deleted since `verified` was read.
///
/// # Errors
/// Any error of the database.
pub async fn lock_and_recheck_password(
    transaction: &DatabaseTransaction,
    verified: user::Model,
) -> Result<Option<user::Model>, DbErr> {
    let current =
        user::Entity::find_for_update(user::Column::Id.eq(verified.id)).one(transaction).await?;
    Ok(current.filter(|current| current.password_hash == verified.password_hash))
}
