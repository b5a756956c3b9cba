//! A token of the identity provider that was used once.
//!
//! It opens one session. When that session has ended, the token is not accepted again, although it
//! has not expired.

use sea_orm::entity::prelude::*;

use super::secret::TokenHash;

/// A row of the table `external_token`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "external_token")]
pub struct Model {
    /// Snowflake id, which contains the time of the first use.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The SHA-256 of the token.
    #[sea_orm(unique, column_type = "VarBinary(StringLen::N(32))")]
    pub token_hash: TokenHash,
    /// The time at which the token expires, after which the row is deleted.
    pub expires_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
