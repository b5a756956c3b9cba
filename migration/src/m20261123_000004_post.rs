//! Creates the table `post`, with the index that timelines read.

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
                    .table("post")
                    .col(column::id(manager))
                    .col(column::reference("author_id"))
                    .col(ColumnDef::new("body").text().not_null())
                    .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new("edited_at").timestamp_with_time_zone().null())
                    .foreign_key(&mut column::cascade("author_id", "user"))
                    .take(),
            )
            .await?;
        // For timelines: one look-up finds the newest post of an author below a cursor.
        manager
            .create_index(
                Index::create()
                    .name("post_author")
                    .table("post")
                    .col("author_id")
                    .col("id")
                    .unique()
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("post").take()).await
    }
}
