//! Creates the table `event`, the transactional outbox of subscriptions.
//!
//! A row has the id of the transaction that wrote it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // PostgreSQL has transaction ids. SQLite has one writer, so the next rowid serves as one.
        let mut txn = ColumnDef::new("txn");
        if manager.get_database_backend() == DbBackend::Sqlite {
            txn.custom("INTEGER");
        } else {
            txn.big_integer().default(Expr::cust("pg_current_xact_id()::text::bigint"));
        }
        manager
            .create_table(
                Table::create()
                    .table("event")
                    .col(txn.not_null().primary_key())
                    .col(ColumnDef::new("kind").small_integer().not_null())
                    .col(ColumnDef::new("actor").big_integer().not_null())
                    .col(ColumnDef::new("object").big_integer().not_null())
                    .col(ColumnDef::new("at").timestamp_with_time_zone().not_null())
                    .take(),
            )
            .await?;
        // The oldest row marks how far back the table reaches. This is the first mark.
        let first =
            "INSERT INTO event (kind, actor, object, at) VALUES (0, 0, 0, CURRENT_TIMESTAMP)";
        manager.get_connection().execute_unprepared(first).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("event").take()).await
    }
}
