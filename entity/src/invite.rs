//! An invite: a code with which a number of users may register.
//!
//! Only the SHA-256 of its code is stored.

use sea_orm::entity::prelude::*;

use super::secret::TokenHash;

/// A row of the table `invite`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invite")]
pub struct Model {
    /// Snowflake id, which contains the time of creation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who created the invite. `None` for one of the operator.
    pub creator_id: Option<i64>,
    /// The SHA-256 of the code.
    #[sea_orm(unique, column_type = "VarBinary(StringLen::N(32))")]
    pub code_hash: TokenHash,
    /// What the invite is for, in the words of its creator.
    pub note: Option<String>,
    /// The number of users who may register with the code.
    pub max_uses: i32,
    /// The number of users who have registered with the code.
    pub uses: i32,
    /// The time at which the code becomes invalid.
    pub expires_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "creator_id", to = "id")]
    pub creator: BelongsTo<Option<super::user::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
