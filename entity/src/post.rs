//! A public post. Its id is its place in every list: newest first is `id` descending.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "post")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub author_id: i64,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    /// The moment inside `id`.
    pub created_at: DateTimeUtc,
    pub edited_at: Option<DateTimeUtc>,
    #[sea_orm(belongs_to, from = "author_id", to = "id")]
    pub author: BelongsTo<super::user::Entity>,
    #[sea_orm(has_many)]
    pub bookmarks: HasMany<super::bookmark::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
