//! A key by which a user repeats a request without repeating its effect.
//!
//! It is kept for a limited time, which begins at the time in its id.

use sea_orm::entity::prelude::*;

/// A row of the table `idempotency_key`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_key")]
pub struct Model {
    /// Snowflake id, which contains the time of the first request.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who sent the key.
    #[sea_orm(unique_key = "pair")]
    pub user_id: i64,
    /// The key, as the client chose it.
    #[sea_orm(unique_key = "pair")]
    pub key: String,
    /// The SHA-256 of the input.
    #[sea_orm(column_type = "VarBinary(StringLen::N(32))")]
    pub input_hash: Vec<u8>,
    /// The post that the request created.
    ///
    /// It is no foreign key: the post can be deleted.
    pub post_id: i64,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
