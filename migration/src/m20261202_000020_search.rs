//! Creates the search indexes: the words of posts, and of the names of users.
//!
//! The service separates the words, and fills the indexes after the migrations. The triggers delete
//! the words of a row that is changed or deleted, so that an index never has outdated words.
//!
//! On SQLite an index is an FTS5 table without content (`content=''`): the words are in the index
//! only. The tokenizer `ascii` separates what the service separated by spaces.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Each indexed table, the columns with its texts, and FTS5's prefix indexes.
///
/// A prefix of a word is looked up in the prefix index of its length. Without one, FTS5 merges the
/// rows of all words with the prefix before it returns the first.
const INDEXES: [(&str, &str, &str); 2] =
    [("post", "body", "2 3"), ("user", "username, display_name", "1 2 3")];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for (table, columns, prefixes) in INDEXES {
            let statements = match manager.get_database_backend() {
                DbBackend::Sqlite => vec![
                    format!(
                        "CREATE VIRTUAL TABLE {table}_search USING fts5(words, content='', \
                         contentless_delete=1, tokenize='ascii', prefix='{prefixes}')"
                    ),
                    format!(
                        r#"CREATE TRIGGER {table}_search_deleted AFTER DELETE ON "{table}" BEGIN
                            DELETE FROM {table}_search WHERE rowid = old.id;
                        END"#
                    ),
                    format!(
                        r#"CREATE TRIGGER {table}_search_changed
                        AFTER UPDATE OF {columns} ON "{table}" BEGIN
                            DELETE FROM {table}_search WHERE rowid = old.id;
                        END"#
                    ),
                ],
                _ => vec![
                    format!(
                        "CREATE TABLE {table}_search (id bigint PRIMARY KEY, words tsvector NOT NULL)"
                    ),
                    format!(
                        "CREATE INDEX {table}_search_words ON {table}_search USING gin (words)"
                    ),
                    format!(
                        "CREATE FUNCTION {table}_search_outdated() RETURNS trigger \
                         LANGUAGE plpgsql AS 'BEGIN \
                         DELETE FROM {table}_search WHERE id = OLD.id; RETURN NULL; END'"
                    ),
                    format!(
                        r#"CREATE TRIGGER {table}_search_outdated
                        AFTER DELETE OR UPDATE OF {columns} ON "{table}"
                        FOR EACH ROW EXECUTE FUNCTION {table}_search_outdated()"#
                    ),
                ],
            };
            for statement in statements {
                connection.execute_unprepared(&statement).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for (table, ..) in INDEXES {
            let statements = match manager.get_database_backend() {
                DbBackend::Sqlite => vec![
                    format!("DROP TRIGGER {table}_search_deleted"),
                    format!("DROP TRIGGER {table}_search_changed"),
                    format!("DROP TABLE {table}_search"),
                ],
                _ => vec![
                    format!(r#"DROP TRIGGER {table}_search_outdated ON "{table}""#),
                    format!("DROP FUNCTION {table}_search_outdated()"),
                    format!("DROP TABLE {table}_search"),
                ],
            };
            for statement in statements {
                connection.execute_unprepared(&statement).await?;
            }
        }
        Ok(())
    }
}
