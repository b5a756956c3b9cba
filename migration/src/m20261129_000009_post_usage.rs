//! Adds the day of a user's last post or edit, and what was written on it.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut columns = [
            ColumnDef::new("posts_day").integer().take(),
            ColumnDef::new("posts_made").integer().take(),
            ColumnDef::new("post_bytes_made").big_integer().take(),
        ];
        for column in &mut columns {
            let column = column.not_null().default(0).take();
            manager.alter_table(Table::alter().table("user").add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["posts_day", "posts_made", "post_bytes_made"] {
            manager.alter_table(Table::alter().table("user").drop_column(name).take()).await?;
        }
        Ok(())
    }
}
