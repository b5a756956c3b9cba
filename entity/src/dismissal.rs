//! A suggestion that a user does not want to see again.

use sea_orm::entity::prelude::*;

/// A row of the table `dismissal`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dismissal")]
pub struct Model {
    /// Snowflake id: the time of the dismissal.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user to whom the suggestion was made.
    #[sea_orm(unique_key = "pair")]
    pub user_id: i64,
    /// The user who was suggested.
    #[sea_orm(unique_key = "pair")]
    pub dismissed_id: i64,
    #[sea_orm(belongs_to, relation_enum = "User", from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Dismissed", from = "dismissed_id", to = "id")]
    pub dismissed: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
