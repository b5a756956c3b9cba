//! Creates the table `session`, which has only the SHA-256 of each bearer token.

use sea_orm_migration::prelude::*;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let time =
            |name: &'static str| ColumnDef::new(name).timestamp_with_time_zone().not_null().take();
        manager
            .create_table(
                Table::create()
                    .table("session")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(ColumnDef::new("token_hash").var_binary(32).not_null().unique_key())
                    .col(ColumnDef::new("user_agent").string().null())
                    .col(time("created_at"))
                    .col(time("last_used_at"))
                    .col(time("expires_at"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("session_user")
                    .table("session")
                    .col("user_id")
                    .col("id")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("session").take()).await
    }
}
