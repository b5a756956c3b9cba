//! Adds indexes to the table `event`, for the replay of missed events.
//!
//! A replay reads the events of a timeline's authors, and those that concern every timeline.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Events that concern every timeline are those of the kinds from 6 on.
const INDEXES: [&str; 2] = [
    "CREATE INDEX event_actor ON event (actor, txn)",
    "CREATE INDEX event_of_all ON event (txn) WHERE kind >= 6",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in ["event_actor", "event_of_all"] {
            let sql = format!("DROP INDEX {index}");
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }
}
