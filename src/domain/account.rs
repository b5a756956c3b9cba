//! Accounts and their sessions.
//!
//! The operations are: register, log in, log out, list and revoke sessions, change the password,
//! and delete the account.
//!
//! Every operation that takes a password needs an attempt permit of the credential throttle before
//! it hashes. Hashing takes place outside of transactions, because it is slow. A transaction that
//! relies on a verified password therefore locks the user and checks that the hash is still the
//! same.

use std::collections::HashSet;

use chrono::SubsecRound as _;
use entity::{bookmark, event, follow, like, post, session, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query, SelectStatement, UnionType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Set,
};
use secrecy::SecretString;

use super::target_post::{end_reposts, subtract_from_counts, uncount_replies};
use super::{Change, Services, validation};
use crate::auth::{Client, IssuedSession, MAX_SESSIONS, SessionSpec, Viewer, open_session};
use crate::clock;
use crate::database::{SearchIndex, Snapshot};
use crate::error;
use crate::error::{Error, UserError, UserErrorKind};
use crate::ids::snowflake;
use crate::limits::{AttemptPermit, ThrottleKey};

/// The data of a new account.
#[derive(Clone)]
pub struct Registration {
    pub username: String,
    pub email: String,
    pub password: SecretString,
    pub display_name: Option<String>,
}

/// Creates a user and opens a session.
///
/// The errors of all invalid fields are returned together.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `UsernameTaken`, `EmailTaken` or `TooManyRequests`; any
/// error of the database.
pub async fn register(
    services: &Services,
    registration: Registration,
    client: Client,
) -> Result<IssuedSession, Error> {
    let mut errors = Vec::new();
    let password = validation::password(registration.password, &["input", "password"]);
    let password = password.map_err(|error| errors.push(error)).unwrap_or_default();
    let mut collect = |result: Result<String, UserError>| {
        result.map_err(|error| errors.push(error)).unwrap_or_default()
    };
    let username = collect(validation::username(&registration.username, &["input", "username"]));
    let email = collect(validation::email(&registration.email, &["input", "email"]));
    let display_name = registration
        .display_name
        .map(|name| collect(validation::display_name(&name, &["input", "displayName"])));
    if !errors.is_empty() {
        return Err(Error::Expected(errors));
    }
    let attempt = services.throttle.check(client.network, None)?;
    let password_hash = services.passwords.hash(password, &attempt).await?;
    let transaction = services.db.begin().await?;
    let id = services.ids.next();
    let user = user::ActiveModel {
        id: Set(id),
        username: Set(username),
        email: Set(email),
        display_name: Set(display_name),
        password_hash: Set(Some(password_hash)),
        created_at: Set(snowflake::timestamp_of(id)),
        last_seen_at: Set(Some(clock::now().trunc_subsecs(3))),
        followers_count: Set(0),
        following_count: Set(0),
        posts_count: Set(0),
        replies_count: Set(0),
        follows_day: Set(0),
        follows_made: Set(0),
        posts_day: Set(0),
        posts_made: Set(0),
        post_bytes_made: Set(0),
        mutes_count: Set(0),
        is_protected: Set(false),
        timeline_marker: Set(None),
        ..Default::default()
    };
    let user = user.insert(&transaction).await.map_err(error::from_unique_violation)?;
    let names = SearchIndex::names(&user.username, user.display_name.as_deref());
    services.db.index_words(&*transaction, SearchIndex::Users, id, &names).await?;
    let issued = open_session(&transaction, user, session_spec(services), client).await?;
    services.commit(transaction, &issued.viewer).await?;
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
/// [`Error::Expected`] with `InvalidCredentials` or `TooManyRequests`; any error of the database.
pub async fn login(
    services: &Services,
    identifier: &str,
    password: SecretString,
    client: Client,
) -> Result<IssuedSession, Error> {
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
    pub current: SecretString,
    pub new: SecretString,
}

/// Changes the password, ends every session of the viewer, and opens a new session.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `InvalidCredentials` or `TooManyRequests`;
/// [`Error::Unauthenticated`] when the password was changed or the account deleted in the meantime;
/// any error of the database.
pub async fn change_password(
    services: &Services,
    viewer: &Viewer,
    client: Client,
    change: PasswordChange,
) -> Result<IssuedSession, Error> {
    let new = validation::password(change.new, &["input", "newPassword"])?;
    let attempt = count_attempt(services, viewer, &client)?;
    if !verify_password(services, viewer, change.current, &attempt).await? {
        return Err(wrong_password("currentPassword"));
    }
    let password_hash = services.passwords.hash(new, &attempt).await?;
    let transaction = services.db.begin().await?;
    let Some(user) = lock_and_recheck_password(&transaction, viewer.user().clone()).await? else {
        return Err(Error::account_changed());
    };
    let mut user: user::ActiveModel = user.into();
    user.password_hash = Set(Some(password_hash));
    let user = user.update(&transaction).await?;
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(user.id))
        .exec(&transaction)
        .await?;
    let issued = open_session(&transaction, user, session_spec(services), client).await?;
    services.commit(transaction, &issued.viewer).await?;
    Ok(issued)
}

/// Deletes the viewer's account with all rows that refer to it.
///
/// Returns the id of the user. The same transaction updates the counts of other users, and those of
/// the posts that the user liked or reposted.
///
/// # Errors
/// [`Error::Expected`] with `InvalidCredentials` or `TooManyRequests`; [`Error::Unauthenticated`]
/// when the password was changed or the account deleted in the meantime; any error of the database.
pub async fn delete(
    services: &Services,
    viewer: &Viewer,
    client: &Client,
    password: SecretString,
) -> Result<i64, Error> {
    let attempt = count_attempt(services, viewer, client)?;
    if !verify_password(services, viewer, password, &attempt).await? {
        return Err(wrong_password("password"));
    }
    let id = viewer.id();
    let transaction = services.db.begin().await?;
    let is_affected = user::Column::Id.in_subquery(user_and_neighbours(id));
    let locked = ids(&transaction, user::Entity::find_for_update(is_affected.clone())).await?;
    if lock_and_recheck_password(&transaction, viewer.user().clone()).await?.is_none() {
        return Err(Error::account_changed());
    }
    // Follows committed while this transaction waited for the locks may involve further users.
    // These are locked here. The lock on the viewer prevents any more follows. This second pass may
    // lock smaller ids after larger ones; a deadlock is retried as a conflict.
    let affected = ids(&transaction, user::Entity::find().filter(is_affected)).await?;
    let is_unlocked = user::Column::Id.is_in(affected.difference(&locked).copied());
    ids(&transaction, user::Entity::find_for_update(is_unlocked)).await?;
    for (count, table, neighbour_column, own_column) in NEIGHBOUR_COUNTS {
        let neighbours = neighbours(table, neighbour_column, own_column, id);
        user::Entity::update_many()
            .col_expr(count, Expr::col(count).sub(1))
            .filter(user::Column::Id.in_subquery(neighbours))
            .exec(&transaction)
            .await?;
    }
    // The locks above do not exclude likes and reposts by the user. This one waits for those that
    // are being written, and prevents any more.
    user::Entity::find_by_id(id).lock(LockType::Update).one(&transaction).await?;
    let liked = neighbours("like", "post_id", "user_id", id);
    subtract_from_counts(&transaction, liked, post::Column::LikesCount).await?;
    uncount_replies(services, &transaction, id).await?;
    let reposts = end_reposts(&transaction, id).await?;
    let posts = Query::select()
        .column(post::Column::Id)
        .from(post::Entity)
        .and_where(post::Column::AuthorId.eq(id))
        .to_owned();
    for likes in [like::Column::UserId.eq(id), like::Column::PostId.in_subquery(posts.clone())] {
        like::Entity::delete_many().filter(likes).exec(&transaction).await?;
    }
    for bookmarks in [bookmark::Column::UserId.eq(id), bookmark::Column::PostId.in_subquery(posts)]
    {
        bookmark::Entity::delete_many().filter(bookmarks).exec(&transaction).await?;
    }
    post::Entity::delete_many().filter(post::Column::AuthorId.eq(id)).exec(&transaction).await?;
    let follows = Condition::any()
        .add(follow::Column::FollowerId.eq(id))
        .add(follow::Column::FollowedId.eq(id));
    follow::Entity::delete_many().filter(follows).exec(&transaction).await?;
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(id))
        .exec(&transaction)
        .await?;
    user::Entity::delete_by_id(id).exec(&transaction).await?;
    let removed = Change { kind: event::Kind::UserRemoved, actor: id, object: 0 };
    services.record(&transaction, removed, &reposts).await?;
    services.commit(transaction, viewer).await?;
    Ok(id)
}

/// The counts of other users that the deletion changes.
///
/// Each has the table whose rows it counts, the table's column with the other user, and that with
/// the deleted user.
const NEIGHBOUR_COUNTS: [(user::Column, &str, &str, &str); 3] = [
    (user::Column::FollowersCount, "follow", "followed_id", "follower_id"),
    (user::Column::FollowingCount, "follow", "follower_id", "followed_id"),
    (user::Column::MutesCount, "mute", "muter_id", "muted_id"),
];

/// The ids in `neighbour_column` of the rows of `table` for a user.
///
/// The user has the `id` in `own_column`.
fn neighbours(
    table: &'static str,
    neighbour_column: &'static str,
    own_column: &'static str,
    id: i64,
) -> SelectStatement {
    Query::select()
        .column(neighbour_column)
        .from(table)
        .and_where(Expr::col(own_column).eq(id))
        .to_owned()
}

/// The ids of a user, and of all users whose counts the deletion changes.
fn user_and_neighbours(id: i64) -> SelectStatement {
    let mut ids = Query::select().expr(Expr::val(id)).to_owned();
    for (_, table, neighbour_column, own_column) in NEIGHBOUR_COUNTS {
        ids.union(UnionType::Distinct, neighbours(table, neighbour_column, own_column, id));
    }
    ids
}

/// The ids of the users that a query selects. The query may lock them.
async fn ids(
    transaction: &DatabaseTransaction,
    users: Select<user::Entity>,
) -> Result<HashSet<i64>, DbErr> {
    let ids = users.select_only().column(user::Column::Id).into_tuple();
    Ok(ids.all(transaction).await?.into_iter().collect())
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

/// Counts an attempt of the viewer to prove the password.
///
/// # Errors
/// [`Error::Expected`] with `TooManyRequests`.
fn count_attempt(
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
async fn verify_password(
    services: &Services,
    viewer: &Viewer,
    password: SecretString,
    attempt: &AttemptPermit,
) -> Result<bool, Error> {
    let stored = viewer.user().password_hash.clone();
    services.passwords.verify(password, stored, attempt).await
}

/// The user error of a wrong password in an input field.
fn wrong_password(field: &'static str) -> Error {
    UserErrorKind::InvalidCredentials.at(&["input", field], "The password is wrong.").into()
}

/// Locks a user and returns the current row.
///
/// `None` if the password was changed or the account deleted since `verified` was read.
///
/// # Errors
/// Any error of the database.
async fn lock_and_recheck_password(
    transaction: &DatabaseTransaction,
    verified: user::Model,
) -> Result<Option<user::Model>, DbErr> {
    let current =
        user::Entity::find_for_update(user::Column::Id.eq(verified.id)).one(transaction).await?;
    Ok(current.filter(|current| current.password_hash == verified.password_hash))
}

/// A new session that begins now and lasts for the configured lifetime.
fn session_spec(services: &Services) -> SessionSpec {
    SessionSpec { id: services.ids.next(), expires_at: clock::now() + services.session_lifetime }
}
