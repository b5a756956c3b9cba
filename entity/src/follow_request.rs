//! A request to follow a protected user, who has not decided yet.

use sea_orm::entity::prelude::*;

/// A row of the table `follow_request`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "follow_request")]
pub struct Model {
    /// Snowflake id: the time of the request and its position in both lists.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who asks to follow.
    #[sea_orm(unique_key = "pair")]
    pub requester_id: i64,
    /// The user who is asked.
    #[sea_orm(unique_key = "pair")]
    pub target_id: i64,
    #[sea_orm(belongs_to, relation_enum = "Requester", from = "requester_id", to = "id")]
    pub requester: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Target", from = "target_id", to = "id")]
    pub target: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
