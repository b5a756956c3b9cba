//! Makes the ids of feed items unique.
//!
//! The primary key has the actor before the id, so that two reposts could have the same id. Cursors
//! of timelines and statements find an item by its id. Reposts that share their id with another
//! item are deleted, with their notifications.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Reposts that share their id with another item.
const SHARED: &str =
    "kind = 2 AND id IN (SELECT id FROM feed_item GROUP BY id HAVING count(*) > 1)";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let uncount = format!(
            "UPDATE post SET reposts_count = reposts_count - shared.number \
             FROM (SELECT post_id, count(*) AS number FROM feed_item WHERE {SHARED} \
               GROUP BY post_id) AS shared WHERE shared.post_id = post.id"
        );
        connection.execute_unprepared(&uncount).await?;
        let notifications = format!(
            "DELETE FROM notification WHERE kind = 5 AND (post_id, actor_id) IN ( \
             SELECT post_id, actor_id FROM feed_item WHERE {SHARED})"
        );
        connection.execute_unprepared(&notifications).await?;
        connection.execute_unprepared(&format!("DELETE FROM feed_item WHERE {SHARED}")).await?;
        // On SQLite each index of the table contains its primary key.
        let columns = match manager.get_database_backend() {
            DbBackend::Sqlite => "(id)",
            _ => "(id) INCLUDE (actor_id)",
        };
        connection.execute_unprepared("DROP INDEX feed_item_id").await?;
        let index = format!("CREATE UNIQUE INDEX feed_item_id ON feed_item {columns}");
        connection.execute_unprepared(&index).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection.execute_unprepared("DROP INDEX feed_item_id").await?;
        let index = "CREATE UNIQUE INDEX feed_item_id ON feed_item (id, actor_id)";
        connection.execute_unprepared(index).await.map(drop)
    }
}
