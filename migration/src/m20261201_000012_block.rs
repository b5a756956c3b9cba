//! Creates the table `block`, and an index of the events of blocks.
//!
//! A pair of users is unique.

use sea_orm_migration::prelude::*;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("block")
                    .col(column::id(manager))
                    .col(column::reference("blocker_id"))
                    .col(column::reference("blocked_id"))
                    .foreign_key(&mut column::cascade("blocker_id", "user"))
                    .foreign_key(&mut column::cascade("blocked_id", "user"))
                    .check(Expr::col("blocker_id").ne(Expr::col("blocked_id")))
                    .take(),
            )
            .await?;
        for index in [
            "CREATE UNIQUE INDEX block_pair ON block (blocker_id, blocked_id)",
            "CREATE INDEX block_blocker ON block (blocker_id, id, blocked_id)",
            "CREATE INDEX block_blocked ON block (blocked_id)",
            // For the replay of missed events: blocks by other users.
            "CREATE INDEX event_of_blocked ON event (object, txn) WHERE kind = 6",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX event_of_blocked").await?;
        manager.drop_table(Table::drop().table("block").take()).await
    }
}
