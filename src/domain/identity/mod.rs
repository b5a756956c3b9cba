//! Sign-in with a token of the identity provider.
//!
//! The first token of a user creates the user. Each new token opens a session, whose token it is.
//! A user of the provider is never linked to an existing account: names and addresses are claims of
//! the provider, and do not prove that the account is theirs.

mod names;

use chrono::SubsecRound as _;
use entity::{external_token, identity, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, QuerySelect as _, Set, SqlErr,
};

use super::new_user::NewUser;
use super::{Services, validation};
use crate::auth::{
    Client, ExternalSession, ExternalUser, SessionSpec, hash_token, open_external_session,
};
use crate::clock;
use crate::database::{Database, Snapshot};
use crate::error::Error;
use crate::retry::{immediately, with_retries};

/// How often a sign-in is attempted while it conflicts with other writes.
const MAX_ATTEMPTS: u32 = 10;
/// Maximum number of expired tokens that one transaction deletes.
const MAX_DELETED: u64 = 1_000;

/// Opens a session for a verified token of `user`, which exists afterwards.
///
/// A token that was used before opens none: its session exists, or has ended. The session expires
/// with the token, or earlier after the lifetime of sessions.
///
/// # Errors
/// [`Error::Unauthenticated`] when the account was deleted meanwhile; any error of the database.
pub async fn sign_in(
    services: &Services,
    user: &ExternalUser,
    token: &str,
    client: &Client,
) -> Result<(), Error> {
    if is_used(services, token).await? {
        return Ok(());
    }
    // Another request may have created the user, or taken the username.
    let is_conflict = |error: &Error| *error == Error::Conflict;
    let attempt = || try_sign_in(services, user, token, client);
    with_retries(MAX_ATTEMPTS, is_conflict, immediately, attempt).await
}

/// Whether the token was used before.
///
/// It is read first, so that no transaction begins for a token that was revoked.
async fn is_used(services: &Services, token: &str) -> Result<bool, Error> {
    let snapshot = Snapshot::new(&services.db);
    let used = external_token::Entity::find()
        .filter(external_token::Column::TokenHash.eq(hash_token(token)))
        .one(&**snapshot.read(1).await?)
        .await?;
    Ok(used.is_some())
}

async fn try_sign_in(
    services: &Services,
    external: &ExternalUser,
    token: &str,
    client: &Client,
) -> Result<(), Error> {
    let transaction = services.db.begin().await?;
    // On PostgreSQL it waits for another request with the same token.
    let used = services.db.statement(
        "INSERT INTO external_token (id, token_hash, expires_at) VALUES ($1, $2, $3) \
         ON CONFLICT (token_hash) DO NOTHING",
        [services.ids.next().into(), hash_token(token).into(), external.expires_at.into()],
    );
    if transaction.execute_raw(used).await?.rows_affected() == 0 {
        return Ok(());
    }
    let user = match find(&transaction, external).await? {
        Some(user) => user,
        None => create(services, &transaction, external).await.map_err(conflict)?,
    };
    let latest = clock::now().trunc_subsecs(3) + services.session_lifetime;
    let expires_at = std::cmp::min(external.expires_at, latest);
    let spec = SessionSpec { id: services.ids.next(), expires_at };
    let session = ExternalSession { spec, token };
    let viewer = open_external_session(&transaction, user, session, client.clone()).await?;
    services.commit(transaction, &viewer).await?;
    if services.db.has_replicas() {
        // Later requests read from a replica only when it has the new rows.
        if let Err(error) = services.db.record_write_lsn(Some(viewer.session().id)).await {
            tracing::warn!(%error, "could not record the LSN of a sign-in; its session reads from \
                the primary");
        }
    }
    Ok(())
}

async fn find(
    transaction: &DatabaseTransaction,
    external: &ExternalUser,
) -> Result<Option<user::Model>, DbErr> {
    let found = identity::Entity::find()
        .filter(identity::Column::Issuer.eq(external.issuer.as_str()))
        .filter(identity::Column::Subject.eq(external.subject.as_str()))
        .find_also_related(user::Entity)
        .one(transaction)
        .await?;
    Ok(found.and_then(|(_, user)| user))
}

/// Creates the user and their identity.
async fn create(
    services: &Services,
    transaction: &DatabaseTransaction,
    external: &ExternalUser,
) -> Result<user::Model, DbErr> {
    let id = services.ids.next();
    let usernames = names::usernames(external.username.as_deref());
    let address = external.email.as_deref().and_then(|email| validation::email(email, &[]).ok());
    let taken = taken(transaction, &usernames, address.as_deref()).await?;
    let is_free = |username: &String| {
        let is_reserved = services.reserved_names.contains(username);
        !is_reserved && !taken.iter().any(|(other, _)| other.eq_ignore_ascii_case(username))
    };
    let username = usernames.into_iter().find(is_free).unwrap_or_else(|| format!("user_{id}"));
    let address = address.filter(|address| !taken.iter().any(|(_, other)| other == address));
    let user = NewUser {
        id,
        username,
        email_verified: address.is_some() && external.email_verified,
        // No other user can have an address of this domain (RFC 2606).
        email: address.unwrap_or_else(|| format!("{id}@external.invalid")),
        display_name: external.display_name.as_deref().and_then(names::display_name),
        password_hash: None,
    };
    let user = user.insert(services, transaction).await?;
    let identity = identity::ActiveModel {
        id: Set(services.ids.next()),
        user_id: Set(user.id),
        issuer: Set(external.issuer.clone()),
        subject: Set(external.subject.clone()),
    };
    identity::Entity::insert(identity).exec_without_returning(transaction).await?;
    Ok(user)
}

/// Usernames and addresses of users who have one of these.
async fn taken(
    transaction: &DatabaseTransaction,
    usernames: &[String],
    address: Option<&str>,
) -> Result<Vec<(String, String)>, DbErr> {
    let lower = usernames.iter().map(|username| user::normalize_identifier(username));
    let has_username = Expr::from(Func::lower(Expr::col(user::Column::Username))).is_in(lower);
    let has_address = address.map(|address| user::Column::Email.eq(address));
    user::Entity::find()
        .select_only()
        .columns([user::Column::Username, user::Column::Email])
        .filter(Condition::any().add(has_username).add_option(has_address))
        .into_tuple()
        .all(transaction)
        .await
}

/// The error of a write that failed because another request has created the user.
///
/// The next attempt finds that user, or another username.
fn conflict(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::Conflict,
        _ => error.into(),
    }
}

/// Deletes at most 1,000 expired tokens. Returns whether there may be more.
///
/// Another instance may delete the same tokens at the same time.
///
/// # Errors
/// Any error of the database.
pub async fn delete_expired_tokens(db: &Database) -> Result<bool, Error> {
    let transaction = db.begin().await?;
    let sql = format!(
        "DELETE FROM external_token WHERE id IN (SELECT id FROM external_token \
         WHERE expires_at <= $1 ORDER BY expires_at LIMIT {MAX_DELETED})"
    );
    let delete = db.statement(&sql, [clock::now().into()]);
    let deleted = transaction.execute_raw(delete).await?.rows_affected();
    transaction.commit().await?;
    Ok(deleted >= MAX_DELETED)
}
