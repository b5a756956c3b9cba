//! The proof that a client has the password of an account.
//!
//! Hashing takes place outside of transactions, because it is slow. A transaction that relies on a
//! verified password therefore locks the user and checks that the hash is still the same.

use entity::user;
use sea_orm::{ColumnTrait as _, DatabaseTransaction, DbErr};
use secrecy::SecretString;

use super::Services;
use crate::auth::{Client, Viewer};
use crate::error::{Error, UserError, UserErrorKind};
use crate::limits::{AttemptPermit, ThrottleKey};

/// Checks that the operator has not disabled passwords.
///
/// # Errors
/// `PasswordLoginDisabled`.
pub fn ensure_password_login(services: &Services) -> Result<(), UserError> {
    if services.has_password_login {
        return Ok(());
    }
    let message = "Passwords are disabled on this server. Sign in with the identity provider.";
    Err(UserErrorKind::PasswordLoginDisabled.at(&[], message))
}

/// Proves that a client has the password of the viewer's account.
///
/// An account without a password needs no proof: it was imported, or its user signs in elsewhere.
/// Each proof is counted as an attempt, whose permit is returned. `field` names the input field of
/// the password.
///
/// # Errors
/// [`Error::Expected`] with `InvalidCredentials` when the password is wrong or missing, or with
/// `TooManyRequests`; [`Error::Internal`] when hashing fails.
pub async fn prove_password(
    services: &Services,
    viewer: &Viewer,
    client: &Client,
    password: Option<SecretString>,
    field: &'static str,
) -> Result<AttemptPermit, Error> {
    let key = ThrottleKey::Authenticated(viewer.id());
    let attempt = services.throttle.check(client.network, Some(key))?;
    let Some(stored) = viewer.user().password_hash.clone() else { return Ok(attempt) };
    let wrong = |message| UserErrorKind::InvalidCredentials.at(&["input", field], message);
    let password = password.ok_or_else(|| wrong("The account has a password, which is needed."))?;
    if services.passwords.verify(password, Some(stored), &attempt).await? {
        return Ok(attempt);
    }
    Err(wrong("The password is wrong.").into())
}

/// Texts about a user that an attacker would try first.
pub fn personal_words(username: &str, email: &str, display_name: Option<&str>) -> Vec<String> {
    let local_part = email.split('@').next().unwrap_or_default();
    let names = display_name.unwrap_or_default().split_whitespace();
    [username, email, local_part].into_iter().chain(names).map(str::to_owned).collect()
}

/// Locks a user and returns the current row.
///
/// `None` if the password was set or changed, or the account deleted, since `verified` was read.
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
