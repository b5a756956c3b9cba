//! The rows of a user that a step deletes, and the counts that change with them.

use entity::event::Kind;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult};

use super::plan::OwnRow;
use crate::database::Engine;
use crate::domain::{Change, Services};

/// A step of the deletion of a user, in its transaction.
pub struct AccountDeletion<'a> {
    pub services: &'a Services,
    pub transaction: &'a DatabaseTransaction,
    pub user: i64,
}

/// SQL that selects the `key` of rows, and locks these rows.
///
/// They are those that the statement `rows` selects, and are locked in the order of the key. Two
/// deletions that have several rows in common would otherwise lock them in different orders.
pub(super) fn locked_sql(engine: Engine, table: &str, key: &str, rows: &str) -> String {
    match engine {
        Engine::Sqlite => rows.to_owned(),
        Engine::Postgres => {
            format!("SELECT {key} FROM {table} WHERE ({key}) IN ({rows}) ORDER BY {key} FOR UPDATE")
        }
    }
}

#[derive(FromQueryResult)]
struct CountedPost {
    id: i64,
    author_id: i64,
}

/// The two sides of a row that was deleted.
#[derive(FromQueryResult)]
pub struct DeletedRow {
    pub own: i64,
    pub other: i64,
}

impl AccountDeletion<'_> {
    /// Deletes planned rows, of which another transaction may have deleted some.
    pub(super) async fn delete(
        &self,
        table: &str,
        [own, other]: [&str; 2],
        rows: &[OwnRow],
    ) -> Result<Vec<DeletedRow>, DbErr> {
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let engine = self.services.db.engine();
        let sql = format!(
            "DELETE FROM {table} WHERE {} AND {own} = $2 RETURNING {own} AS own, {other} AS other",
            engine.in_list_sql("id", 1)
        );
        let values = [engine.bind_ids(rows.iter().map(|row| row.id)), self.user.into()];
        let statement = self.services.db.statement(&sql, values);
        DeletedRow::find_by_statement(statement).all(self.transaction).await
    }

    /// Subtracts 1 from a count of each post of deleted rows.
    ///
    /// Returns the changes of the posts.
    pub(super) async fn subtract_from_posts(
        &self,
        count: &str,
        rows: &[DeletedRow],
    ) -> Result<Vec<Change>, DbErr> {
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let is_changed = self.services.db.engine().in_list_sql("id", 1);
        let sql = format!(
            "UPDATE post SET {count} = {count} - 1 WHERE {is_changed} RETURNING id, author_id"
        );
        let posts: Vec<i64> = rows.iter().map(|row| row.other).collect();
        self.counted_posts(&sql, &posts).await
    }

    /// Executes a statement that changes counts of posts, and returns the changes.
    pub(super) async fn counted_posts(
        &self,
        sql: &str,
        posts: &[i64],
    ) -> Result<Vec<Change>, DbErr> {
        let values = [self.services.db.engine().bind_ids(posts.iter().copied())];
        let statement = self.services.db.statement(sql, values);
        let counted = CountedPost::find_by_statement(statement).all(self.transaction).await?;
        let change = |CountedPost { id, author_id }| Change {
            kind: Kind::PostCounted,
            actor: author_id,
            object: id,
        };
        Ok(counted.into_iter().map(change).collect())
    }

    /// Subtracts 1 from a count of each other user of deleted rows.
    pub(super) async fn subtract_from_users(
        &self,
        count: &str,
        rows: &[DeletedRow],
    ) -> Result<(), DbErr> {
        if rows.is_empty() {
            return Ok(());
        }
        let engine = self.services.db.engine();
        let is_changed = engine.in_list_sql("id", 1);
        let sql = format!("UPDATE \"user\" SET {count} = {count} - 1 WHERE {is_changed}");
        let values = [engine.bind_ids(rows.iter().map(|row| row.other))];
        self.transaction.execute_raw(self.services.db.statement(&sql, values)).await.map(drop)
    }

    /// Subtracts a number of deleted rows from a count of the user.
    pub(super) async fn subtract_from_own(&self, count: &str, number: usize) -> Result<(), DbErr> {
        if number == 0 {
            return Ok(());
        }
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let sql = format!("UPDATE \"user\" SET {count} = {count} - $1 WHERE id = $2");
        let values = [number.into(), self.user.into()];
        self.transaction.execute_raw(self.services.db.statement(&sql, values)).await.map(drop)
    }
}
