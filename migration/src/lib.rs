//! The tables, step by step: one file per step, each with a way up and a way down.
//!
//! A step never imports `entity`: it describes the tables of its own day. Statements are written
//! so that SQLite and PostgreSQL both run them; what differs is in [`column`].

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
        ]
    }
}
