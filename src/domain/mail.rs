//! Mails that writes cause, and the tokens in them.
//!
//! A mail is added to the outbox in the transaction of its cause. Afterwards
//! `Services::wake_mail` wakes the task that sends it.

use std::time::Duration;

use chrono::SubsecRound as _;
use entity::mail::Kind;
use entity::{mail, mail_token};
use sea_orm::{
    ActiveEnum as _, ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _,
    DatabaseTransaction, DbErr, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, Set,
};

use super::Services;
use crate::auth::{hash_token, is_well_formed};
use crate::clock;
use crate::database::{Database, Snapshot};
use crate::error::{Error, UserErrorKind};
use crate::mail::{MAX_TOKENS, valid_tokens};

/// The time after which a user over the limit of mails may try again.
const RETRY_AFTER: Duration = Duration::from_hours(1);
/// Maximum number of expired tokens that one transaction deletes.
const MAX_DELETED: u64 = 1_000;

/// A user and the address that a mail to the user is sent to.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    pub user: i64,
    pub email: &'a str,
}

/// Adds a mail to a user to the outbox. Does nothing if the operator wants no mail.
///
/// # Errors
/// Any error of the database.
pub async fn queue(
    services: &Services,
    transaction: &DatabaseTransaction,
    kind: Kind,
    to: Recipient<'_>,
) -> Result<(), DbErr> {
    if services.mail.is_none() {
        return Ok(());
    }
    let mail = mail::ActiveModel {
        id: Set(services.ids.next()),
        kind: Set(kind),
        email: Set(to.email.to_owned()),
        user_id: Set(Some(to.user)),
        attempts: Set(0),
        due_at: Set(clock::now().trunc_subsecs(3)),
    };
    mail.insert(transaction).await.map(drop)
}

/// Adds the mail of a password reset to the outbox.
///
/// Does nothing if the address already waits for such a mail. Whether a user has the address is
/// found out when the mail is sent.
///
/// # Errors
/// Any error of the database.
pub async fn queue_reset(
    services: &Services,
    transaction: &DatabaseTransaction,
    email: &str,
) -> Result<(), DbErr> {
    let sql = "INSERT INTO mail (id, kind, email, attempts, due_at) SELECT $1, $2, $3, 0, $4 \
        WHERE NOT EXISTS (SELECT 1 FROM mail WHERE email = $3 AND kind = $2)";
    let values = [
        services.ids.next().into(),
        Kind::ResetPassword.into_value().into(),
        email.into(),
        clock::now().trunc_subsecs(3).into(),
    ];
    transaction.execute_raw(services.db.statement(sql, values)).await.map(drop)
}

/// Number of mails of a kind to a user that wait to be sent.
///
/// # Errors
/// Any error of the database.
pub async fn waiting(
    transaction: &DatabaseTransaction,
    kind: Kind,
    user: i64,
) -> Result<u64, DbErr> {
    mail::Entity::find()
        .filter(mail::Column::UserId.eq(user))
        .filter(mail::Column::Kind.eq(kind))
        .count(transaction)
        .await
}

/// Checks that a user may cause another mail of a kind.
///
/// The limit keeps a user from sending many mails to the addresses of others. The caller has locked
/// the user.
///
/// # Errors
/// [`Error::Expected`] with `TooManyRequests`; any error of the database.
pub async fn check_limit(
    transaction: &DatabaseTransaction,
    kind: Kind,
    user: i64,
) -> Result<(), Error> {
    let now = clock::now().trunc_subsecs(3);
    let sent = valid_tokens(transaction, user, kind, now).await?;
    if sent + waiting(transaction, kind, user).await? < MAX_TOKENS {
        return Ok(());
    }
    let message = "Too many mails were sent. Try again later.";
    Err(UserErrorKind::TooManyRequests { retry_after: RETRY_AFTER }.at(&[], message).into())
}

/// The row of a token that has not expired.
///
/// # Errors
/// [`Error::Expected`] with `InvalidToken`; any error of the database.
pub async fn find_token(
    services: &Services,
    kind: Kind,
    token: &str,
) -> Result<mail_token::Model, Error> {
    if !is_well_formed(token) {
        return Err(invalid_token());
    }
    let found = mail_token::Entity::find()
        .filter(mail_token::Column::TokenHash.eq(hash_token(token)))
        .filter(mail_token::Column::Kind.eq(kind))
        .filter(mail_token::Column::ExpiresAt.gt(clock::now()))
        .one(&**Snapshot::new(&services.db).read(1).await?)
        .await?;
    found.ok_or_else(invalid_token)
}

/// Invalidates the links that set a new password of a user.
///
/// # Errors
/// Any error of the database.
pub async fn delete_reset_tokens(
    transaction: &DatabaseTransaction,
    user: i64,
) -> Result<(), DbErr> {
    mail_token::Entity::delete_many()
        .filter(mail_token::Column::UserId.eq(user))
        .filter(mail_token::Column::Kind.eq(Kind::ResetPassword))
        .exec(transaction)
        .await
        .map(drop)
}

/// The user error of a token that does not exist, has expired or was used.
pub fn invalid_token() -> Error {
    let message = "The link is not valid or has expired. Request a new one.";
    UserErrorKind::InvalidToken.at(&["token"], message).into()
}

/// Deletes at most 1,000 expired tokens. Returns whether there may be more.
///
/// # Errors
/// Any error of the database.
pub async fn delete_expired(db: &Database) -> Result<bool, Error> {
    let transaction = db.begin().await?;
    let sql = format!(
        "DELETE FROM mail_token WHERE id IN (SELECT id FROM mail_token \
         WHERE expires_at <= $1 ORDER BY expires_at LIMIT {MAX_DELETED})"
    );
    let delete = db.statement(&sql, [clock::now().into()]);
    let deleted = transaction.execute_raw(delete).await?.rows_affected();
    transaction.commit().await?;
    Ok(deleted >= MAX_DELETED)
}
