//! Creates the table `event_part`, for changes that concern further users.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        let without_rowid = if is_sqlite { "WITHOUT ROWID" } else { "" };
        for statement in [
            &format!(
                "CREATE TABLE event_part (
                    actor bigint NOT NULL,
                    txn bigint NOT NULL,
                    kind smallint NOT NULL,
                    object bigint NOT NULL,
                    PRIMARY KEY (actor, txn, kind, object)
                ) {without_rowid}"
            ),
            "CREATE INDEX event_part_txn ON event_part (txn)",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("event_part").take()).await
    }
}
