//! A mute: the muter's timeline does not show the muted user.
//!
//! The muted user is not informed.

use sea_orm::entity::prelude::*;

/// A row of the table `mute`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mute")]
pub struct Model {
    /// Snowflake id: the time of the mute and its position in the list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who mutes.
    #[sea_orm(unique_key = "pair")]
    pub muter_id: i64,
    /// The user who is muted.
    #[sea_orm(unique_key = "pair")]
    pub muted_id: i64,
    /// The time at which the mute ends; `None` if it does not end by itself.
    pub expires_at: Option<DateTimeUtc>,
    /// Whether the muter gets no notifications about the muted user.
    pub hides_notifications: bool,
    #[sea_orm(belongs_to, relation_enum = "Muter", from = "muter_id", to = "id")]
    pub muter: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Muted", from = "muted_id", to = "id")]
    pub muted: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
