//! The account of a user at the identity provider.

use sea_orm::entity::prelude::*;

/// A row of the table `identity`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity")]
pub struct Model {
    /// Snowflake id, which contains the time of the first sign-in.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user of Rookery.
    pub user_id: i64,
    /// The URL of the provider, as in its tokens.
    #[sea_orm(unique_key = "pair")]
    pub issuer: String,
    /// The id of the user at the provider.
    #[sea_orm(unique_key = "pair")]
    pub subject: String,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
