//! A follow: one user follows another. It joins `user` many-to-many with itself.

use sea_orm::entity::prelude::*;

/// A row of the table `follow`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "follow")]
pub struct Model {
    /// Snowflake id: the time of the follow and its position in both lists.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who follows.
    #[sea_orm(unique_key = "pair")]
    pub follower_id: i64,
    /// The user who is followed.
    #[sea_orm(unique_key = "pair")]
    pub followed_id: i64,
    #[sea_orm(belongs_to, relation_enum = "Follower", from = "follower_id", to = "id")]
    pub follower: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Followed", from = "followed_id", to = "id")]
    pub followed: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
