//! Creates the table `notification`, and adds how far a user has read.
//!
//! A notification is unique for its recipient, kind, actor and post. One without a post is compared
//! as one of the post 0.

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
                    .table("notification")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(ColumnDef::new("kind").small_integer().not_null())
                    .col(column::reference("actor_id"))
                    .col(ColumnDef::new("post_id").big_integer().null())
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .foreign_key(&mut column::cascade("actor_id", "user"))
                    .foreign_key(&mut column::cascade("post_id", "post"))
                    .take(),
            )
            .await?;
        for index in [
            "CREATE UNIQUE INDEX notification_cause \
             ON notification (user_id, kind, actor_id, coalesce(post_id, 0))",
            "CREATE INDEX notification_user ON notification (user_id, id)",
            "CREATE INDEX notification_actor ON notification (actor_id, user_id)",
            "CREATE INDEX notification_post ON notification (post_id) WHERE post_id IS NOT NULL",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        let read =
            ColumnDef::new("notifications_read_id").big_integer().not_null().default(0).take();
        manager.alter_table(Table::alter().table("user").add_column(read).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "notifications_read_id";
        manager.alter_table(Table::alter().table("user").drop_column(column).take()).await?;
        manager.drop_table(Table::drop().table("notification").take()).await
    }
}
