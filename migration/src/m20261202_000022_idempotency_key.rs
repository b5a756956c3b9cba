//! Creates the table `idempotency_key`. A pair of user and key is unique.
//!
//! `post_id` is no foreign key: the post can be deleted while the key is kept.

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
                    .table("idempotency_key")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(ColumnDef::new("key").string().not_null())
                    .col(ColumnDef::new("input_hash").var_binary(32).not_null())
                    .col(column::reference("post_id"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .take(),
            )
            .await?;
        let index =
            r#"CREATE UNIQUE INDEX idempotency_key_pair ON idempotency_key (user_id, "key")"#;
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("idempotency_key").take()).await
    }
}
