//! Adds the role of a user: 0 for users, 1 for moderators, 2 for administrators.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let role = ColumnDef::new("role").small_integer().not_null().default(0).take();
        manager.alter_table(Table::alter().table("user").add_column(role).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("user").drop_column("role").take()).await
    }
}
