//! Creates the table `moderation_log`, whose rows cannot be changed or deleted.
//!
//! Its ids are no foreign keys: an entry outlives the accounts and posts that it names.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let optional_id = |name: &'static str| ColumnDef::new(name).big_integer().null().take();
        manager
            .create_table(
                Table::create()
                    .table("moderation_log")
                    .col(column::id(manager))
                    .col(ColumnDef::new("action").small_integer().not_null())
                    .col(optional_id("actor_id"))
                    .col(optional_id("user_id"))
                    .col(optional_id("post_id"))
                    .col(optional_id("report_id"))
                    .col(ColumnDef::new("reason").string().null())
                    .col(ColumnDef::new("detail").string().null())
                    .col(ColumnDef::new("suspended_until").timestamp_with_time_zone().null())
                    .take(),
            )
            .await?;
        let statements: &[&str] = match manager.get_database_backend() {
            DbBackend::Sqlite => &[
                "CREATE TRIGGER moderation_log_changed BEFORE UPDATE ON moderation_log BEGIN
                    SELECT raise(ABORT, 'the moderation log is append-only');
                END",
                "CREATE TRIGGER moderation_log_deleted BEFORE DELETE ON moderation_log BEGIN
                    SELECT raise(ABORT, 'the moderation log is append-only');
                END",
            ],
            _ => &[
                "CREATE FUNCTION moderation_log_append_only() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN RAISE EXCEPTION ''the moderation log is append-only''; END'",
                "CREATE TRIGGER moderation_log_append_only \
                 BEFORE UPDATE OR DELETE OR TRUNCATE ON moderation_log \
                 FOR EACH STATEMENT EXECUTE FUNCTION moderation_log_append_only()",
            ],
        };
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("moderation_log").take()).await?;
        if manager.get_database_backend() != DbBackend::Sqlite {
            let function = "DROP FUNCTION moderation_log_append_only()";
            manager.get_connection().execute_unprepared(function).await?;
        }
        Ok(())
    }
}
