//! The proof that a user receives mails at the account's address.
//!
//! The token of a mail is the proof. It stays valid until it expires, because programs open links
//! before people do. A change of the address makes it invalid.

use entity::mail::Kind;
use entity::user;
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, Set};

use super::mail::Recipient;
use super::{Services, mail};
use crate::auth::{Client, Viewer};
use crate::error::Error;
use crate::limits::ThrottleKey;

/// Verifies the address to which a token was sent.
///
/// Returns whether it was not verified before.
///
/// # Errors
/// [`Error::Expected`] with `InvalidToken` or `TooManyRequests`; any error of the database.
pub async fn verify(services: &Services, client: &Client, token: &str) -> Result<bool, Error> {
    services.throttle.check(client.network, None)?;
    let found = mail::find_token(services, Kind::VerifyEmail, token).await?;
    let transaction = services.db.begin().await?;
    let owner = user::Entity::find_for_update(user::Column::Id.eq(found.user_id));
    let owner = owner.one(&transaction).await?.filter(|owner| owner.email == found.email);
    let owner = owner.ok_or_else(mail::invalid_token)?;
    if owner.email_verified {
        return Ok(false);
    }
    let mut owner: user::ActiveModel = owner.into();
    owner.email_verified = Set(true);
    owner.update(&transaction).await?;
    services.commit_without_session(transaction).await?;
    Ok(true)
}

/// Sends the viewer another mail that verifies the address.
///
/// Returns whether it will be sent. It is not sent if the address is verified, if a mail is waiting
/// to be sent, or if the operator wants no mail.
///
/// # Errors
/// [`Error::Expected`] with `TooManyRequests`; [`Error::Unauthenticated`] when the account was
/// deleted; any error of the database.
pub async fn resend(services: &Services, viewer: &Viewer, client: &Client) -> Result<bool, Error> {
    let key = ThrottleKey::Authenticated(viewer.id());
    services.throttle.check(client.network, Some(key))?;
    let transaction = services.db.begin().await?;
    let user = user::Entity::find_for_update(user::Column::Id.eq(viewer.id()));
    let user = user.one(&transaction).await?.ok_or_else(Error::account_changed)?;
    let kind = Kind::VerifyEmail;
    if services.mail.is_none()
        || user.email_verified
        || mail::waiting(&transaction, kind, user.id).await? > 0
    {
        return Ok(false);
    }
    mail::check_limit(&transaction, kind, user.id).await?;
    let to = Recipient { user: user.id, email: &user.email };
    mail::queue(services, &transaction, kind, to).await?;
    services.commit(transaction, viewer).await?;
    services.wake_mail();
    Ok(true)
}
