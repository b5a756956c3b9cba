//! Marks suspended users, with the end and the reason of the suspension.
//!
//! Both indexes have the suspended users only, of whom there are few.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            ColumnDef::new("is_suspended").boolean().not_null().default(false).take(),
            ColumnDef::new("suspended_until").timestamp_with_time_zone().null().take(),
            ColumnDef::new("suspension_reason").string().null().take(),
        ] {
            manager.alter_table(Table::alter().table("user").add_column(column).take()).await?;
        }
        for index in [
            // For timelines, which look up each of their sources.
            r#"CREATE INDEX user_suspended ON "user" (id) WHERE is_suspended"#,
            r#"CREATE INDEX user_suspended_until ON "user" (suspended_until)
               WHERE suspended_until IS NOT NULL"#,
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let restore = r#"UPDATE post SET is_public = true WHERE author_id IN
            (SELECT id FROM "user" WHERE is_suspended AND NOT is_protected)"#;
        manager.get_connection().execute_unprepared(restore).await?;
        for index in ["user_suspended_until", "user_suspended"] {
            let drop = format!("DROP INDEX {index}");
            manager.get_connection().execute_unprepared(&drop).await?;
        }
        for column in ["suspension_reason", "suspended_until", "is_suspended"] {
            manager.alter_table(Table::alter().table("user").drop_column(column).take()).await?;
        }
        Ok(())
    }
}
