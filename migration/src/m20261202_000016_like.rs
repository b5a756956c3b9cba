//! Creates the table `like`, and counts the likes of posts.
//!
//! A pair of user and post is unique.

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
                    .table("like")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(column::reference("post_id"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .foreign_key(&mut column::cascade("post_id", "post"))
                    .take(),
            )
            .await?;
        let count = column::count("likes_count");
        manager.alter_table(Table::alter().table("post").add_column(count).take()).await?;
        for index in [
            r#"CREATE UNIQUE INDEX like_pair ON "like" (user_id, post_id)"#,
            r#"CREATE INDEX like_user ON "like" (user_id, id, post_id)"#,
            r#"CREATE INDEX like_post ON "like" (post_id, id, user_id)"#,
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("post").drop_column("likes_count").take()).await?;
        manager.drop_table(Table::drop().table("like").take()).await
    }
}
