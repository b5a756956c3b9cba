//! Adds the position up to which a user has read their timeline.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let marker = ColumnDef::new("timeline_marker").big_integer().null().take();
        manager.alter_table(Table::alter().table("user").add_column(marker).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::alter().table("user").drop_column("timeline_marker").take();
        manager.alter_table(drop).await
    }
}
