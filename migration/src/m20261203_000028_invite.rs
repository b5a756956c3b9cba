//! Creates the table `invite`, which has only the SHA-256 of each code.
//!
//! The database rejects more uses than an invite allows.

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
                    .table("invite")
                    .col(column::id(manager))
                    .col(ColumnDef::new("creator_id").big_integer().null())
                    .col(ColumnDef::new("code_hash").var_binary(32).not_null().unique_key())
                    .col(ColumnDef::new("note").string().null())
                    .col(ColumnDef::new("max_uses").integer().not_null())
                    .col(column::count("uses"))
                    .col(ColumnDef::new("expires_at").timestamp_with_time_zone().not_null())
                    .check(Expr::col("uses").lte(Expr::col("max_uses")))
                    .foreign_key(&mut column::cascade("creator_id", "user"))
                    .take(),
            )
            .await?;
        let index = "CREATE INDEX invite_creator ON invite (creator_id, id) \
             WHERE creator_id IS NOT NULL";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("invite").take()).await
    }
}
