//! A mention: a user who is named in the text of a post.

use sea_orm::entity::prelude::*;

/// A row of the table `mention`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mention")]
pub struct Model {
    /// Snowflake id: the time at which the text was written.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The post.
    #[sea_orm(unique_key = "position")]
    pub post_id: i64,
    /// The mentioned user.
    pub user_id: i64,
    /// Position of the `@` in the text, in code points.
    #[sea_orm(unique_key = "position")]
    pub start: i32,
    /// Number of code points, including the `@`.
    pub length: i32,
    #[sea_orm(belongs_to, from = "post_id", to = "id")]
    pub post: BelongsTo<super::post::Entity>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
