//! A signed-in client of a user. Only the SHA-256 of its bearer token is kept.

use sea_orm::entity::prelude::*;

use super::secret::TokenHash;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub user_id: i64,
    #[sea_orm(unique, column_type = "VarBinary(StringLen::N(32))")]
    pub token_hash: TokenHash,
    pub user_agent: Option<String>,
    pub created_at: DateTimeUtc,
    /// Written at most once a minute.
    pub last_used_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    /// Where PostgreSQL's log stood after the session's last write; its reads look at nothing older.
    pub lsn: Option<i64>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
