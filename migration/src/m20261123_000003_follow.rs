//! Creates the table `follow`, with one covering index for each direction.
//!
//! A pair of users is unique, and no user follows themselves.

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
        // The id is looked up by the pair. On SQLite every index contains the id.
        let include =
            if manager.get_database_backend() == DbBackend::Sqlite { "" } else { "INCLUDE (id)" };
        let sql = format!(
            "CREATE UNIQUE INDEX follow_pair ON follow (follower_id, followed_id) {include}"
        );
        manager.get_connection().execute_unprepared(&sql).await?;
        // Covering indexes for both directions, newest follow first: reads do not touch the table.
        for (name, user, other) in [
            ("follow_following", "follower_id", "followed_id"),
            ("follow_followers", "followed_id", "follower_id"),
        ] {
            let mut index = Index::create();
            index.name(name).table("follow").col(user).col("id").col(other);
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("follow").take()).await
    }
}
