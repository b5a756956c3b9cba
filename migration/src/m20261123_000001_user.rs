//! Creates the table `user`.
//!
//! Usernames are unique without regard to case. The counts of followers, followed users and posts
//! are stored and cannot become negative.

use sea_orm_migration::prelude::*;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let count = |name: &'static str| {
            ColumnDef::new(name)
                .integer()
                .not_null()
                .default(0)
                .check(Expr::col(name).gte(0))
                .take()
        };
        manager
            .create_table(
                Table::create()
                    .table("user")
                    .col(column::id(manager))
                    .col(column::username(manager))
                    .col(ColumnDef::new("email").string().not_null().unique_key())
                    .col(ColumnDef::new("display_name").string().null())
                    .col(ColumnDef::new("about_me").string().null())
                    .col(ColumnDef::new("password_hash").string().null())
                    .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new("last_seen_at").timestamp_with_time_zone().null())
                    .col(count("followers_count"))
                    .col(count("following_count"))
                    .col(count("posts_count"))
                    .take(),
            )
            .await?;
        manager
            .get_connection()
            .execute_unprepared(r#"CREATE UNIQUE INDEX user_username ON "user" (lower(username))"#)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("user").take()).await
    }
}
