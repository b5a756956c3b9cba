//! The migrations: one file per step, each with `up` and `down`.
//!
//! A migration never imports `entity`, because it creates the tables of its own version. Statements
//! run on SQLite and on PostgreSQL; definitions that differ are in [`column`].

pub use sea_orm_migration::MigrationStatus;
pub use sea_orm_migration::prelude::*;

mod column;
mod m20261123_000001_user;
mod m20261123_000002_session;
mod m20261123_000003_follow;
mod m20261123_000004_post;
mod m20261123_000005_bookmark;
mod m20261124_000006_session_lsn;
mod m20261125_000007_event;
mod m20261125_000008_follows_made;
mod m20261129_000009_post_usage;
mod m20261130_000010_event_actor;
mod m20261201_000011_event_kinds;
mod m20261201_000012_block;
mod m20261201_000013_mute;
mod m20261201_000014_follow_request;
mod m20261201_000015_dismissal;
mod m20261202_000016_like;
mod m20261202_000017_reply;
mod m20261202_000018_feed_item;
mod m20261202_000019_mention;
mod m20261202_000020_search;
mod m20261202_000021_timeline_marker;
mod m20261202_000022_idempotency_key;
mod m20261202_000023_event_part;
mod m20261202_000024_notification;
mod m20261202_000025_notification_kind;
mod m20261202_000026_feed_item_id;
mod m20261202_000027_mail;
mod m20261203_000028_invite;
mod m20261203_000029_identity;

/// The list of all migrations, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_user::Migration),
            Box::new(m20261123_000002_session::Migration),
            Box::new(m20261123_000003_follow::Migration),
            Box::new(m20261123_000004_post::Migration),
            Box::new(m20261123_000005_bookmark::Migration),
            Box::new(m20261124_000006_session_lsn::Migration),
            Box::new(m20261125_000007_event::Migration),
            Box::new(m20261125_000008_follows_made::Migration),
            Box::new(m20261129_000009_post_usage::Migration),
            Box::new(m20261130_000010_event_actor::Migration),
            Box::new(m20261201_000011_event_kinds::Migration),
            Box::new(m20261201_000012_block::Migration),
            Box::new(m20261201_000013_mute::Migration),
            Box::new(m20261201_000014_follow_request::Migration),
            Box::new(m20261201_000015_dismissal::Migration),
            Box::new(m20261202_000016_like::Migration),
            Box::new(m20261202_000017_reply::Migration),
            Box::new(m20261202_000018_feed_item::Migration),
            Box::new(m20261202_000019_mention::Migration),
            Box::new(m20261202_000020_search::Migration),
            Box::new(m20261202_000021_timeline_marker::Migration),
            Box::new(m20261202_000022_idempotency_key::Migration),
            Box::new(m20261202_000023_event_part::Migration),
            Box::new(m20261202_000024_notification::Migration),
            Box::new(m20261202_000025_notification_kind::Migration),
            Box::new(m20261202_000026_feed_item_id::Migration),
            Box::new(m20261202_000027_mail::Migration),
            Box::new(m20261203_000028_invite::Migration),
            Box::new(m20261203_000029_identity::Migration),
        ]
    }
}
