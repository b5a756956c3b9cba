use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("follow")
                    .col(column::id(manager))
                    .col(column::reference("follower_id"))
                    .col(column::reference("followed_id"))
                    .foreign_key(&mut column::cascade("follower_id", "user"))
                    .foreign_key(&mut column::cascade("followed_id", "user"))
                    .check(Expr::col("follower_id").ne(Expr::col("followed_id")))
                    .take(),
            )
            .await?;
        // The key is looked up by the pair; SQLite has it in every index.
        let key =
            if manager.get_database_backend() == DbBackend::Sqlite { "" } else { "INCLUDE (id)" };
        let pair =
            format!("CREATE UNIQUE INDEX follow_pair ON follow (follower_id, followed_id) {key}");
        manager.get_connection().execute_unprepared(&pair).await?;
        // Newest follow first, in both directions, without touching the table.
        for (name, one, other) in [
            ("follow_following", "follower_id", "followed_id"),
            ("follow_followers", "followed_id", "follower_id"),
        ] {
            manager
                .create_index(
                    Index::create().name(name).table("follow").col(one).col("id").col(other).take(),
                )
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("follow").take()).await
    }
}
