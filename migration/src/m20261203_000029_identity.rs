//! Creates the tables `identity` and `external_token`.
//!
//! A pair of issuer and subject is unique. A token refers to no user: it stays when the user is
//! deleted, so that it creates no other one.

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
                    .table("identity")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(ColumnDef::new("issuer").string().not_null())
                    .col(ColumnDef::new("subject").string().not_null())
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .take(),
            )
            .await?;
        let expires_at = ColumnDef::new("expires_at").timestamp_with_time_zone().not_null().take();
        manager
            .create_table(
                Table::create()
                    .table("external_token")
                    .col(column::id(manager))
                    .col(ColumnDef::new("token_hash").var_binary(32).not_null().unique_key())
                    .col(expires_at)
                    .take(),
            )
            .await?;
        for index in [
            "CREATE UNIQUE INDEX identity_pair ON identity (issuer, subject)",
            "CREATE INDEX identity_user ON identity (user_id)",
            "CREATE INDEX external_token_expiry ON external_token (expires_at)",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("external_token").take()).await?;
        manager.drop_table(Table::drop().table("identity").take()).await
    }
}
