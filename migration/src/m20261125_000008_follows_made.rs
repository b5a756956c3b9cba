//! Adds the day of a user's last follow and the number of follows on that day.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The day of the last follow, and the number of follows made on that day.
const COLUMNS: [&str; 2] = ["follows_day", "follows_made"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in COLUMNS {
            let column = ColumnDef::new(name).integer().not_null().default(0).take();
            manager.alter_table(Table::alter().table("user").add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in COLUMNS {
            manager.alter_table(Table::alter().table("user").drop_column(name).take()).await?;
        }
        Ok(())
    }
}
