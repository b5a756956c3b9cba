//! Creates the table `bookmark`, in which a pair of user and post is unique.

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
                    .table("bookmark")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(column::reference("post_id"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .foreign_key(&mut column::cascade("post_id", "post"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("bookmark_pair")
                    .table("bookmark")
                    .col("user_id")
                    .col("post_id")
                    .unique()
                    .take(),
            )
            .await?;
        for (name, column) in [("bookmark_user", "user_id"), ("bookmark_post", "post_id")] {
            manager
                .create_index(
                    Index::create().name(name).table("bookmark").col(column).col("id").take(),
                )
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("bookmark").take()).await
    }
}
