//! Adds the LSN of its last write to a session, for reads from replicas.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let lsn = ColumnDef::new("lsn").big_integer().null().take();
        manager.alter_table(Table::alter().table("session").add_column(lsn).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("session").drop_column("lsn").take()).await
    }
}
