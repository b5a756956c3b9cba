//! Creates the table `report`.
//!
//! A user has at most one open report of the same account or post. `post_id` is no foreign key: the
//! report stays when the post is deleted, with a copy of its text.

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
                    .table("report")
                    .col(column::id(manager))
                    .col(column::reference("reporter_id"))
                    .col(column::reference("user_id"))
                    .col(ColumnDef::new("post_id").big_integer().null())
                    .col(ColumnDef::new("reason").small_integer().not_null())
                    .col(ColumnDef::new("comment").string().null())
                    .col(ColumnDef::new("body").text().null())
                    .col(ColumnDef::new("state").small_integer().not_null().default(0))
                    .col(ColumnDef::new("resolver_id").big_integer().null())
                    .col(ColumnDef::new("resolved_at").timestamp_with_time_zone().null())
                    .foreign_key(&mut column::cascade("reporter_id", "user"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .take(),
            )
            .await?;
        for index in [
            "CREATE UNIQUE INDEX report_open \
             ON report (reporter_id, user_id, coalesce(post_id, 0)) WHERE state = 0",
            "CREATE INDEX report_reporter ON report (reporter_id, id)",
            "CREATE INDEX report_state ON report (state, id)",
            "CREATE INDEX report_user ON report (user_id)",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("report").take()).await
    }
}
