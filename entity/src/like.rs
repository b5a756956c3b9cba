//! A like: a user likes a post.

use sea_orm::entity::prelude::*;

/// A row of the table `like`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "like")]
pub struct Model {
    /// Snowflake id: the time of the like and its position in both lists.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who likes the post.
    #[sea_orm(unique_key = "pair")]
    pub user_id: i64,
    /// The liked post.
    #[sea_orm(unique_key = "pair")]
    pub post_id: i64,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, from = "post_id", to = "id")]
    pub post: BelongsTo<super::post::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
