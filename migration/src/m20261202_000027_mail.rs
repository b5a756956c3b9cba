//! Creates the tables `mail` and `mail_token`, and marks verified addresses.
//!
//! The addresses of existing accounts are not verified.

use sea_orm_migration::prelude::*;

use crate::column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let time =
            |name: &'static str| ColumnDef::new(name).timestamp_with_time_zone().not_null().take();
        let kind = || ColumnDef::new("kind").small_integer().not_null().take();
        let email = || ColumnDef::new("email").string().not_null().take();
        manager
            .create_table(
                Table::create()
                    .table("mail")
                    .col(column::id(manager))
                    .col(kind())
                    .col(email())
                    .col(ColumnDef::new("user_id").big_integer().null())
                    .col(ColumnDef::new("attempts").integer().not_null())
                    .col(time("due_at"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("mail_token")
                    .col(column::id(manager))
                    .col(column::reference("user_id"))
                    .col(kind())
                    .col(email())
                    .col(ColumnDef::new("token_hash").var_binary(32).not_null().unique_key())
                    .col(time("expires_at"))
                    .foreign_key(&mut column::cascade("user_id", "user"))
                    .take(),
            )
            .await?;
        for index in [
            "CREATE INDEX mail_due ON mail (due_at, id)",
            "CREATE INDEX mail_email ON mail (email, kind)",
            "CREATE INDEX mail_user ON mail (user_id, kind) WHERE user_id IS NOT NULL",
            "CREATE INDEX mail_token_user ON mail_token (user_id, kind)",
            "CREATE INDEX mail_token_expiry ON mail_token (expires_at)",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        let is_verified =
            ColumnDef::new("email_verified").boolean().not_null().default(false).take();
        manager.alter_table(Table::alter().table("user").add_column(is_verified).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "email_verified";
        manager.alter_table(Table::alter().table("user").drop_column(column).take()).await?;
        manager.drop_table(Table::drop().table("mail_token").take()).await?;
        manager.drop_table(Table::drop().table("mail").take()).await
    }
}
