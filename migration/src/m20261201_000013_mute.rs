//! Creates the table `mute`, and counts the mutes of each user.
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
                    .table("mute")
                    .col(column::id(manager))
                    .col(column::reference("muter_id"))
                    .col(column::reference("muted_id"))
                    .col(ColumnDef::new("expires_at").timestamp_with_time_zone().null())
                    .col(ColumnDef::new("hides_notifications").boolean().not_null())
                    .foreign_key(&mut column::cascade("muter_id", "user"))
                    .foreign_key(&mut column::cascade("muted_id", "user"))
                    .check(Expr::col("muter_id").ne(Expr::col("muted_id")))
                    .take(),
            )
            .await?;
        for index in [
            "CREATE UNIQUE INDEX mute_pair ON mute (muter_id, muted_id)",
            "CREATE INDEX mute_muter ON mute (muter_id, id, muted_id)",
            "CREATE INDEX mute_muted ON mute (muted_id)",
            "CREATE INDEX mute_expiry ON mute (expires_at) WHERE expires_at IS NOT NULL",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        let count = ColumnDef::new("mutes_count").integer().not_null().default(0).take();
        manager.alter_table(Table::alter().table("user").add_column(count).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("user").drop_column("mutes_count").take()).await?;
        manager.drop_table(Table::drop().table("mute").take()).await
    }
}
