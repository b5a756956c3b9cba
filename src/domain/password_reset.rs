//! New passwords for users who have lost theirs.
//!
//! The request of a mail does the same for every address, so neither its response nor its time
//! shows whether an account has the address.

use entity::mail::Kind;
use entity::{mail_token, session, user};
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};
use secrecy::{ExposeSecret as _, SecretString};

use super::password::ensure_password_login;
use super::{Services, mail, validation};
use crate::auth::{Client, NewPassword};
use crate::error::Error;
use crate::limits::ThrottleKey;

/// Requests a mail with a link that sets a new password.
///
/// The task that sends mails looks the address up, and sends nothing to an unknown one.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `TooManyRequests` or `PasswordLoginDisabled`; any error
/// of the database.
pub async fn request(services: &Services, client: &Client, email: &str) -> Result<(), Error> {
    ensure_password_login(services)?;
    let email = validation::email(email, &["email"])?;
    let key = ThrottleKey::PasswordReset(email.clone());
    services.throttle.check(client.network, Some(key))?;
    if services.mail.is_none() {
        return Ok(());
    }
    let transaction = services.db.begin().await?;
    mail::queue_reset(services, &transaction, &email).await?;
    services.commit_without_session(transaction).await?;
    services.wake_mail();
    Ok(())
}

/// The token of a mail, and the new password.
#[derive(Clone, Debug)]
pub struct PasswordReset {
    pub token: SecretString,
    pub new: SecretString,
}

/// Sets a new password, and ends all sessions of the user.
///
/// The token can be used once. The address is verified with it, because the token was sent there.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `InvalidToken`, `TooManyRequests` or
/// `PasswordLoginDisabled`; any error of the database.
pub async fn reset(
    services: &Services,
    client: &Client,
    reset: PasswordReset,
) -> Result<(), Error> {
    ensure_password_login(services)?;
    let new = validation::password(reset.new, &["newPassword"])?;
    let attempt = services.throttle.check(client.network, None)?;
    let token = reset.token.expose_secret();
    let token = mail::find_token(services, Kind::ResetPassword, token).await?;
    let words = vec![token.email.clone()];
    let new = NewPassword { text: new, words, path: &["newPassword"] };
    let password_hash = services.passwords.hash_new(new, &attempt).await?;
    let transaction = services.db.begin().await?;
    let owner = user::Entity::find_for_update(user::Column::Id.eq(token.user_id));
    let owner = owner.one(&transaction).await?.filter(|owner| owner.email == token.email);
    let owner = owner.ok_or_else(mail::invalid_token)?;
    // Of two concurrent resets, the second waits for the lock of the user and finds no token.
    let used = mail_token::Entity::delete_by_id(token.id).exec(&transaction).await?;
    if used.rows_affected == 0 {
        return Err(mail::invalid_token());
    }
    mail::delete_reset_tokens(&transaction, owner.id).await?;
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(owner.id))
        .exec(&transaction)
        .await?;
    let mut owner: user::ActiveModel = owner.into();
    owner.password_hash = Set(Some(password_hash));
    owner.email_verified = Set(true);
    owner.update(&transaction).await?;
    services.commit_without_session(transaction).await
}
