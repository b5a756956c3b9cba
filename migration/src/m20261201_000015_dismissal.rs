//! Creates the table `dismissal`, and lets an event list several changes.
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
                    .table("dismissal")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(column::reference("dismissed_id"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .foreign_key(&mut column::cascade("dismissed_id", "user"))
                    .check(Expr::col("user_id").ne(Expr::col("dismissed_id")))
                    .take(),
            )
            .await?;
        for index in [
            "CREATE UNIQUE INDEX dismissal_pair ON dismissal (user_id, dismissed_id)",
            "CREATE INDEX dismissal_dismissed ON dismissal (dismissed_id)",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        let changes = ColumnDef::new("changes").text().null().take();
        manager.alter_table(Table::alter().table("event").add_column(changes).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("event").drop_column("changes").take()).await?;
        manager.drop_table(Table::drop().table("dismissal").take()).await
    }
}
