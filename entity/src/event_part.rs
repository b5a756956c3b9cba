//! A part of an event: a change of the same transaction that concerns another user.
//!
//! The transaction has one event. A repost, for example, also changes a count of another user's
//! post. Subscribers find the part by its own actor.

use sea_orm::entity::prelude::*;

/// A row of the table `event_part`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_part")]
pub struct Model {
    /// The user whose timelines the change concerns.
    #[sea_orm(primary_key, auto_increment = false)]
    pub actor: i64,
    /// The id of the transaction, which is that of its event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub txn: i64,
    /// What happened, a number of [`Kind`](super::event::Kind).
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: i16,
    /// The id of the post or user concerned.
    #[sea_orm(primary_key, auto_increment = false)]
    pub object: i64,
}

impl ActiveModelBehavior for ActiveModel {}
