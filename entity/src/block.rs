//! A block: while it exists, neither user can contact the other.

use sea_orm::entity::prelude::*;

/// A row of the table `block`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "block")]
pub struct Model {
    /// Snowflake id: the time of the block and its position in the list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who blocks.
    #[sea_orm(unique_key = "pair")]
    pub blocker_id: i64,
    /// The user who is blocked.
    #[sea_orm(unique_key = "pair")]
    pub blocked_id: i64,
    #[sea_orm(belongs_to, relation_enum = "Blocker", from = "blocker_id", to = "id")]
    pub blocker: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Blocked", from = "blocked_id", to = "id")]
    pub blocked: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
