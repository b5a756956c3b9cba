//! Accounts and their sessions.
//!
//! The operations are: register, log in, log out, list and revoke sessions, and change the
//! password. `deletion` deletes accounts.
//!
//! Every operation that takes a password needs an attempt permit of the credential throttle before
//! it hashes. Hashing takes place outside of transactions, because it is slow. A transaction that
//! relies on a verified password therefore locks the user and checks that the hash is still the
//! same.

use entity::mail::Kind;
use entity::{session, user};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    Set,
};
use secrecy::SecretString;

use super::invite::InviteCode;
use super::mail::Recipient;
use super::new_user::NewUser;
use super::password::{
    ensure_password_login, lock_and_recheck_password, personal_words, prove_password,
};
use super::{RegistrationMode, Services, mail, validation};
use crate::auth::{
    Client, IssuedSession, MAX_SESSIONS, NewPassword, SessionSpec, Viewer, open_session,
};
use crate::clock;
use crate::database::Snapshot;
use crate::error;
use crate::error::{Error, UserError, UserErrorKind};
use crate::limits::ThrottleKey;

/// The data of a new account.
#[derive(Clone)]
pub struct Registration {
    pub username: String,
    pub email: String,
    pub password: SecretString,
    pub display_name: Option<String>,
    /// The code of an invite, which only [`RegistrationMode::Invite`] reads.
    pub invite_code: Option<String>,
}

/// Creates a user and opens a session.
///
/// The errors of all invalid fields are returned together. Whether an invite can be used is found
/// out afterwards, and so is whether the password is easy to guess.
///
/// # Errors
/// [`Error::Forbidden`] when registration is closed; [`Error::Expected`] with `InvalidInput`,
/// `UsernameTaken`, `EmailTaken`, `TooManyRequests` or `PasswordLoginDisabled`; any error of the
/// database.
pub async fn register(
    services: &Services,
    registration: Registration,
    client: Client,
) -> Result<IssuedSession, Error> {
    ensure_password_login(services)?;
    if services.registration == RegistrationMode::Closed {
        return Err(Error::Forbidden("Registration is closed on this server."));
    }
    let mut errors = Vec::new();
    let needs_invite = services.registration == RegistrationMode::Invite;
    let invite = needs_invite.then(|| InviteCode::new(registration.invite_code.as_deref()));
    let invite = invite.transpose().map_err(|error| errors.push(error)).unwrap_or_default();
    let password = validation::password(registration.password, &["input", "password"]);
    let password = password.map_err(|error| errors.push(error)).unwrap_or_default();
    let mut collect = |result: Result<String, UserError>| {
        result.map_err(|error| errors.push(error)).unwrap_or_default()
    };
    let username = validation::username(&registration.username, &["input", "username"]);
    let check = |name| services.reserved_names.check(name, &["input", "username"]);
    let username = collect(username.and_then(check));
    let email = collect(validation::email(&registration.email, &["input", "email"]));
    let display_name = registration
        .display_name
        .map(|name| collect(validation::display_name(&name, &["input", "displayName"])));
    if !errors.is_empty() {
        return Err(Error::Expected(errors));
    }
    let attempt = services.throttle.check(client.network, None)?;
    if let Some(invite) = &invite {
        invite.check(&Snapshot::new(&services.db)).await?;
    }
    let words = personal_words(&username, &email, display_name.as_deref());
    let password = NewPassword { text: password, words, path: &["input", "password"] };
    let password_hash = services.passwords.hash_new(password, &attempt).await?;
    let transaction = services.db.begin().await?;
    if let Some(invite) = &invite {
        invite.count_use(&transaction).await?;
    }
    let id = services.ids.next();
    let password_hash = Some(password_hash);
    let user = NewUser { id, username, email, display_name, password_hash, email_verified: false };
    let user = user.insert(services, &transaction).await.map_err(error::from_unique_violation)?;
    let to = Recipient { user: id, email: &user.email };
    mail::queue(services, &transaction, Kind::VerifyEmail, to).await?;
    let issued = open_session(&transaction, user, session_spec(services), client).await?;
    services.commit(transaction, &issued.viewer).await?;
    services.wake_mail();
    Ok(issued)
}

/// Opens a session for the user with this username or e-mail address.
///
/// Spaces around it are ignored. The address may be in any form that `validation::normalize_email`
/// makes the same.
///
/// An unknown identifier and a wrong password get the same response, after the same time.
///
/// # Errors
/// [`Error::Expected`] with `InvalidCredentials`, `TooManyRequests` or `PasswordLoginDisabled`; any
/// error of the database.
pub async fn login(
    services: &Services,
    identifier: &str,
    password: SecretString,
    client: Client,
) -> Result<IssuedSession, Error> {
    ensure_password_login(services)?;
    let identifier = identifier.trim();
    let (identifier, query) = if identifier.contains('@') {
        let email = user::normalize_identifier(&validation::normalize_email(identifier));
        (email.clone(), user::Entity::find().filter(user::Column::Email.eq(email)))
    } else {
        let reference = user::UserRef::Username(identifier.to_owned());
        (user::normalize_identifier(identifier), user::Entity::find_by(&reference))
    };
    let found = query.one(&**Snapshot::new(&services.db).read(1).await?).await?;
    let account = found.as_ref().map(|user| ThrottleKey::Account(user.id));
    let key = account.unwrap_or_else(|| ThrottleKey::unknown(identifier));
    let attempt = services.throttle.check(client.network, Some(key))?;
    let stored = found.as_ref().and_then(|user| user.password_hash.clone());
    let matches = services.passwords.verify(password, stored, &attempt).await?;
    let Some(user) = found.filter(|_| matches) else {
        let message = "The username or the password is wrong.";
        return Err(UserErrorKind::InvalidCredentials.at(&["input"], message).into());
    };
    let transaction = services.db.begin().await?;
    // The password may have been changed while it was verified.
    let Some(user) = lock_and_recheck_password(&transaction, user).await? else {
        let message = "The username or the password is wrong.";
        return Err(UserErrorKind::InvalidCredentials.at(&["input"], message).into());
    };
    let issued = open_session(&transaction, user, session_spec(services), client).await?;
    services.commit(transaction, &issued.viewer).await?;
    Ok(issued)
}

/// Ends the viewer's current session, or all of the viewer's sessions.
///
/// Returns the number of sessions that were ended.
///
/// # Errors
/// Any error of the database.
pub async fn logout(services: &Services, viewer: &Viewer, everywhere: bool) -> Result<u64, Error> {
    let is_ended = if everywhere {
        session::Column::UserId.eq(viewer.id())
    } else {
        session::Column::Id.eq(viewer.session().id)
    };
    let transaction = services.db.begin().await?;
    // Before the sessions, so that two requests do not lock them in different orders.
    user::Entity::find_for_update(user::Column::Id.eq(viewer.id())).one(&transaction).await?;
    let ended = session::Entity::delete_many().filter(is_ended).exec(&transaction).await?;
    services.commit(transaction, viewer).await?;
    Ok(ended.rows_affected)
}

/// Ends a session of the viewer. Returns whether the viewer had this session.
///
/// # Errors
/// Any error of the database.
pub async fn revoke(services: &Services, viewer: &Viewer, id: i64) -> Result<bool, Error> {
    let transaction = services.db.begin().await?;
    // Before the sessions, so that two requests do not lock them in different orders.
    user::Entity::find_for_update(user::Column::Id.eq(viewer.id())).one(&transaction).await?;
    let revoked = session::Entity::delete_many()
        .filter(session::Column::Id.eq(id))
        .filter(session::Column::UserId.eq(viewer.id()))
        .exec(&transaction)
        .await?;
    services.commit(transaction, viewer).await?;
    Ok(revoked.rows_affected > 0)
}

/// The password that is to be replaced, and the new one.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// Needed unless the account has no password.
    pub current: Option<SecretString>,
    pub new: SecretString,
}

/// Changes the password, ends every session of the viewer, and opens a new session.
///
/// An account without a password gets its first one.
/// Links that set another password become invalid.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `InvalidCredentials`, `TooManyRequests` or
/// `PasswordLoginDisabled`; [`Error::Unauthenticated`] when the password was changed or the account
/// deleted in the meantime; any error of the database.
pub async fn change_password(
    services: &Services,
    viewer: &Viewer,
    client: Client,
    change: PasswordChange,
) -> Result<IssuedSession, Error> {
    ensure_password_login(services)?;
    let new = validation::password(change.new, &["input", "newPassword"])?;
    let attempt =
        prove_password(services, viewer, &client, change.current, "currentPassword").await?;
    let user = viewer.user();
    let words = personal_words(&user.username, &user.email, user.display_name.as_deref());
    let new = NewPassword { text: new, words, path: &["input", "newPassword"] };
    let password_hash = services.passwords.hash_new(new, &attempt).await?;
    let transaction = services.db.begin().await?;
    let Some(user) = lock_and_recheck_password(&transaction, viewer.user().clone()).await? else {
        return Err(Error::account_changed());
    };
    let mut user: user::ActiveModel = user.into();
    user.password_hash = Set(Some(password_hash));
    let user = user.update(&transaction).await?;
    mail::delete_reset_tokens(&transaction, user.id).await?;
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(user.id))
        .exec(&transaction)
        .await?;
    let issued = open_session(&transaction, user, session_spec(services), client).await?;
    services.commit(transaction, &issued.viewer).await?;
    Ok(issued)
}

/// The viewer's sessions that have not expired, newest first.
///
/// # Errors
/// Any error of the database.
pub async fn sessions(snapshot: &Snapshot, viewer: &Viewer) -> Result<Vec<session::Model>, Error> {
    Ok(session::Entity::find()
        .filter(session::Column::UserId.eq(viewer.id()))
        .filter(session::Column::ExpiresAt.gt(clock::now()))
        .order_by_desc(session::Column::Id)
        .all(&**snapshot.read(MAX_SESSIONS).await?)
        .await?)
}

/// A new session that begins now and lasts for the configured lifetime.
fn session_spec(services: &Services) -> SessionSpec {
    SessionSpec { id: services.ids.next(), expires_at: clock::now() + services.session_lifetime }
}
