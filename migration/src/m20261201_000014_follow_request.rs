//! Creates the table `follow_request`, and marks protected users and public posts.
//!
//! A pair of users is unique. A post is public unless its author is protected.

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
                    .table("follow_request")
                    .col(column::id(manager))
                    .col(column::reference("requester_id"))
                    .col(column::reference("target_id"))
                    .foreign_key(&mut column::cascade("requester_id", "user"))
                    .foreign_key(&mut column::cascade("target_id", "user"))
                    .check(Expr::col("requester_id").ne(Expr::col("target_id")))
                    .take(),
            )
            .await?;
        let flag = |name: &'static str, value: bool| {
            ColumnDef::new(name).boolean().not_null().default(value).take()
        };
        let is_protected = flag("is_protected", false);
        manager.alter_table(Table::alter().table("user").add_column(is_protected).take()).await?;
        let is_public = flag("is_public", true);
        manager.alter_table(Table::alter().table("post").add_column(is_public).take()).await?;
        for index in [
            "CREATE UNIQUE INDEX follow_request_pair ON follow_request (requester_id, target_id)",
            "CREATE INDEX follow_request_requester ON follow_request (requester_id, id, target_id)",
            "CREATE INDEX follow_request_target ON follow_request (target_id, id, requester_id)",
            // For the list of all public posts.
            "CREATE INDEX post_public ON post (is_public, id)",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX post_public").await?;
        for (table, column) in [("post", "is_public"), ("user", "is_protected")] {
            manager.alter_table(Table::alter().table(table).drop_column(column).take()).await?;
        }
        manager.drop_table(Table::drop().table("follow_request").take()).await
    }
}
