//! Creates the table `mention`.
//!
//! Posts that exist have no mentions until they are edited.

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
                    .table("mention")
                    .col(column::id(manager))
                    .col(column::reference("post_id"))
                    .col(column::reference("user_id"))
                    .col(ColumnDef::new("start").integer().not_null())
                    .col(ColumnDef::new("length").integer().not_null())
                    .foreign_key(&mut column::cascade("post_id", "post"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .take(),
            )
            .await?;
        for index in [
            "CREATE UNIQUE INDEX mention_position ON mention (post_id, start)",
            "CREATE INDEX mention_user ON mention (user_id, id)",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("mention").take()).await
    }
}
