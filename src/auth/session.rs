//! Sessions: what a bearer token stands for. The token itself is shown once and never stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
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
use crate::key;

/// Tells people and secret scanners what they are looking at.
const PREFIX: &str = "rookery_";

/// Characters behind it: 32 bytes in base64.
const LENGTH: usize = 43;

/// Clients say who they are at any length; this many characters are kept.
const MAX_USER_AGENT: usize = 200;

/// Sessions of one user; the oldest goes when another one opens.
pub const MAX_SESSIONS: u64 = 100;

/// A fresh session with the token that opens it.
pub struct SignedIn {
    pub token: SecretString,
    pub viewer: Viewer,
}

/// Makes a session named `id` for `user`, until it expires: 256 random bits for the client, their SHA-256 for us.
/// The user's sessions that are over go.
///
/// # Errors
/// When the database refuses the row.
pub async fn open_session(
    transaction: &DatabaseTransaction,
    user: user::Model,
    (id, expires_at): (i64, DateTime<Utc>),
    client: Client,
) -> Result<SignedIn, DbErr> {
    let newest = Query::select()
        .column(session::Column::Id)
        .from(session::Entity)
        .and_where(session::Column::UserId.eq(user.id))
        .order_by(session::Column::Id, Order::Desc)
        .limit(MAX_SESSIONS - 1)
        .to_owned();
    let over = Condition::any()
        .add(session::Column::ExpiresAt.lte(key::time_of(id)))
        .add(session::Column::Id.not_in_subquery(newest));
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(user.id))
        .filter(over)
        .exec(transaction)
        .await?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let session = session::ActiveModel {
        id: Set(id),
        user_id: Set(user.id),
        token_hash: Set(hash(&token)),
        user_agent: Set(client.user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect())),
        created_at: Set(key::time_of(id)),
        last_used_at: Set(key::time_of(id)),
        expires_at: Set(expires_at),
        lsn: Set(None),
    };
    let session = session.insert(transaction).await?;
    Ok(SignedIn { token: token.into(), viewer: Viewer::new(user, session) })
}

/// Whether a text may be a token: nobody is looked for by one that cannot be.
pub(super) fn could_be(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        rest.len() == LENGTH && rest.bytes().all(is_part)
    })
}

pub(super) fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).to_vec())
}
