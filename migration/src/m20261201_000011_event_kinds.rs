//! Renumbers the kinds of events that concern every timeline.
//!
//! They were 6 and 7 and are 100 and 101, which leaves numbers for kinds that concern two users.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "UPDATE event SET kind = kind + 94 WHERE kind >= 6",
            "DROP INDEX event_of_all",
            "CREATE INDEX event_of_all ON event (txn) WHERE kind >= 100",
        ];
        execute(manager, &statements).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The earlier version does not know the kinds between: anything may have changed.
        let statements = [
            "UPDATE event SET kind = CASE WHEN kind < 100 THEN 7 ELSE kind - 94 END WHERE kind >= 6",
            "DROP INDEX event_of_all",
            "CREATE INDEX event_of_all ON event (txn) WHERE kind >= 6",
        ];
        execute(manager, &statements).await
    }
}

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
