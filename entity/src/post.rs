//! A post. It is public unless its author is protected.
//!
//! Its id is its position in every list. The newest post, with the largest id, comes first.

use sea_orm::entity::prelude::*;

/// A row of the table `post`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "post")]
pub struct Model {
    /// Snowflake id, which contains `created_at`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who wrote the post.
    pub author_id: i64,
    /// The text of the post.
    #[sea_orm(column_type = "Text")]
    pub body: String,
    /// The time that `id` contains.
    pub created_at: DateTimeUtc,
    /// The time of the last edit; `None` if the post was never edited.
    pub edited_at: Option<DateTimeUtc>,
    /// Whether the author is not protected, stored for the list of all public posts.
    pub is_public: bool,
    /// The post that this one replies to; `None` if it replies to none.
    ///
    /// The other post can have been deleted.
    pub in_reply_to_id: Option<i64>,
    /// Number of likes.
    pub likes_count: i32,
    /// Number of replies, including those that a viewer may not see.
    pub replies_count: i32,
    /// Number of reposts.
    pub reposts_count: i32,
    #[sea_orm(belongs_to, from = "author_id", to = "id")]
    pub author: BelongsTo<super::user::Entity>,
    #[sea_orm(has_many)]
    pub bookmarks: HasMany<super::bookmark::Entity>,
    #[sea_orm(has_many)]
    pub likes: HasMany<super::like::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
