//! Sessions and their bearer tokens.
//!
//! A token has 256 random bits and is returned once, when its session is opened. The database has
//! only its SHA-256: the tokens cannot be read from a copy of the database, and a slow hash is not
//! needed for a random secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SubsecRound as _, Utc};
use entity::secret::TokenHash;
use entity::{session, user};
use sea_orm::sea_query::{Order, Query};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, Set,
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::{Client, Viewer};
use crate::clock;
use crate::ids::snowflake;

/// Prefix of every token, by which people and secret scanners recognise it.
const TOKEN_PREFIX: &str = "rookery_";

/// Length of a token after its prefix, in characters: 32 bytes in base64.
const ENCODED_LENGTH: usize = 43;

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

/// Opens a session for `user`.
///
/// Deletes the user's expired sessions, and the oldest ones over `MAX_SESSIONS`.
///
/// # Errors
/// Any error of the database.
pub async fn open_session(
    transaction: &DatabaseTransaction,
    user: user::Model,
    SessionSpec { id, expires_at }: SessionSpec,
    client: Client,
) -> Result<IssuedSession, DbErr> {
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
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let user_agent = client.user_agent;
    let user_agent = user_agent.map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect());
    let session = session::ActiveModel {
        id: Set(id),
        user_id: Set(user.id),
        token_hash: Set(hash(&token)),
        user_agent: Set(user_agent),
        created_at: Set(snowflake::timestamp_of(id)),
        last_used_at: Set(now),
        expires_at: Set(expires_at),
        lsn: Set(None),
    };
    let session = session.insert(transaction).await?;
    Ok(IssuedSession { token: token.into(), viewer: Viewer::new(user, session) })
}

/// Whether a text has the form of a token; other texts need no look-up.
pub(super) fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(TOKEN_PREFIX).is_some_and(|rest| {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        rest.len() == ENCODED_LENGTH && rest.bytes().all(is_base64url)
    })
}

pub(super) fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).to_vec())
}
