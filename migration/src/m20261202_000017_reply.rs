//! Adds the post that a post replies to, and counts replies.
//!
//! `in_reply_to_id` is no foreign key: a reply outlives its parent. Ids are not used twice.

use sea_orm_migration::prelude::*;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let parent = ColumnDef::new("in_reply_to_id").big_integer().null().take();
        manager.alter_table(Table::alter().table("post").add_column(parent).take()).await?;
        for table in ["post", "user"] {
            let count = column::count("replies_count");
            manager.alter_table(Table::alter().table(table).add_column(count).take()).await?;
        }
        let index = "CREATE INDEX post_parent ON post (in_reply_to_id, id) \
            WHERE in_reply_to_id IS NOT NULL";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX post_parent").await?;
        for (table, column) in
            [("user", "replies_count"), ("post", "replies_count"), ("post", "in_reply_to_id")]
        {
            manager.alter_table(Table::alter().table(table).drop_column(column).take()).await?;
        }
        Ok(())
    }
}
