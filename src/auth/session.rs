//! Sessions and their bearer tokens.
//!
//! A token is returned once, when its session is opened. The database has only its hash.

use chrono::{DateTime, SubsecRound as _, Utc};
use entity::{session, user};
use sea_orm::sea_query::{Order, Query};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, Set,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::token::{hash_token, new_token};
use super::{Client, Viewer};
use crate::clock;
use crate::ids::snowflake;

/// Maximum number of characters of a `User-Agent` that are stored.
const MAX_USER_AGENT_CHARS: usize = 200;

/// Maximum number of sessions of a user. A further one replaces the oldest.
pub const MAX_SESSIONS: usize = 100;

/// A new session with its token.
pub struct IssuedSession {
    /// The bearer token for the client.
    pub token: SecretString,
    /// The user with the new session.
    pub viewer: Viewer,
}

/// The id and the expiry of a session to open.
#[derive(Clone, Copy, Debug)]
pub struct SessionSpec {
    /// Its timestamp is the time of creation.
    pub id: i64,
    pub expires_at: DateTime<Utc>,
}

/// A session to open whose token was issued by the identity provider.
#[derive(Clone, Copy)]
pub struct ExternalSession<'a> {
    pub spec: SessionSpec,
    /// The token, of which the hash is stored.
    pub token: &'a str,
}

/// Opens a session for `user`.
///
/// Deletes the user's expired sessions, and the oldest ones over `MAX_SESSIONS`.
///
/// # Errors
/// Any error of the database.
pub async fn open_session(
    transaction: &DatabaseTransaction,
    user: user::Model,
    spec: SessionSpec,
    client: Client,
) -> Result<IssuedSession, DbErr> {
    let token = new_token();
    let session = ExternalSession { spec, token: token.expose_secret() };
    let viewer = open_external_session(transaction, user, session, client).await?;
    Ok(IssuedSession { token, viewer })
}

/// Opens a session for `user` with a token that the client has.
///
/// Deletes other sessions as [`open_session`] does.
///
/// # Errors
/// Any error of the database.
pub async fn open_external_session(
    transaction: &DatabaseTransaction,
    user: user::Model,
    ExternalSession { spec: SessionSpec { id, expires_at }, token }: ExternalSession<'_>,
    client: Client,
) -> Result<Viewer, DbErr> {
    let now = clock::now().trunc_subsecs(3);
    let newest = Query::select()
        .column(session::Column::Id)
        .from(session::Entity)
        .and_where(session::Column::UserId.eq(user.id))
        .order_by(session::Column::Id, Order::Desc)
        .limit(MAX_SESSIONS as u64 - 1)
        .to_owned();
    let is_obsolete = Condition::any()
        .add(session::Column::ExpiresAt.lte(now))
        .add(session::Column::Id.not_in_subquery(newest));
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(user.id))
        .filter(is_obsolete)
        .exec(transaction)
        .await?;
    let user_agent = client.user_agent;
    let user_agent = user_agent.map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect());
    let session = session::ActiveModel {
        id: Set(id),
        user_id: Set(user.id),
        token_hash: Set(hash_token(token)),
        user_agent: Set(user_agent),
        created_at: Set(snowflake::timestamp_of(id)),
        last_used_at: Set(now),
        expires_at: Set(expires_at),
        lsn: Set(None),
    };
    let session = session.insert(transaction).await?;
    Ok(Viewer::new(user, session))
}
