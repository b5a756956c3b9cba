//! Creates the table `feed_item`, fills it with the posts, and counts reposts.
//!
//! On SQLite the table has no rowid: its rows are stored in the order in which timelines read them.
//! `subject_id` is no foreign key: the user can delete the account. `post_id` is none because each
//! deletion of a post would need an index of all rows by post.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
        let without_rowid = if is_sqlite { "WITHOUT ROWID" } else { "" };
        let table = format!(
            r#"CREATE TABLE feed_item (
                actor_id bigint NOT NULL,
                id bigint NOT NULL,
                post_id bigint NOT NULL,
                subject_id bigint,
                kind smallint NOT NULL,
                PRIMARY KEY (actor_id, id),
                FOREIGN KEY (actor_id) REFERENCES "user" (id) ON DELETE CASCADE
            ) {without_rowid}"#
        );
        let connection = manager.get_connection();
        connection.execute_unprepared(&table).await?;
        let fill = "INSERT INTO feed_item (actor_id, id, post_id, kind) \
            SELECT author_id, id, id, 0 FROM post ORDER BY author_id, id";
        connection.execute_unprepared(fill).await?;
        for index in [
            "CREATE UNIQUE INDEX feed_item_id ON feed_item (id, actor_id)",
            "CREATE UNIQUE INDEX feed_item_pair ON feed_item (post_id, actor_id) WHERE kind = 2",
            "CREATE INDEX feed_item_post ON feed_item (post_id, id, actor_id) WHERE kind = 2",
        ] {
            connection.execute_unprepared(index).await?;
        }
        let count = column::count("reposts_count");
        manager.alter_table(Table::alter().table("post").add_column(count).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(Table::alter().table("post").drop_column("reposts_count").take())
            .await?;
        manager.drop_table(Table::drop().table("feed_item").take()).await
    }
}
