//! A session: a signed-in client of a user.
//!
//! Only the SHA-256 of its bearer token is stored.

use sea_orm::entity::prelude::*;

use super::secret::TokenHash;

/// A row of the table `session`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// Snowflake id, which contains `created_at`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who signed in.
    pub user_id: i64,
    /// The SHA-256 of the bearer token.
    #[sea_orm(unique, column_type = "VarBinary(StringLen::N(32))")]
    pub token_hash: TokenHash,
    /// The header `User-Agent` of the login, at most 200 characters of it.
    pub user_agent: Option<String>,
    /// The time of the login, which `id` contains.
    pub created_at: DateTimeUtc,
    /// The time of the last request, written at most once a minute.
    pub last_used_at: DateTimeUtc,
    /// The time at which the token becomes invalid.
    pub expires_at: DateTimeUtc,
    /// The LSN of the session's last write.
    ///
    /// A replica must have replayed it to be read. `None` without replicas. `i64::MAX` while the
    /// LSN of a write is not recorded: the session then reads from the primary.
    pub lsn: Option<i64>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
