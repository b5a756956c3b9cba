//! A token in a mail, which proves that the client has received the mail.
//!
//! Only the SHA-256 of the token is stored.

use sea_orm::entity::prelude::*;

use super::mail::Kind;
use super::secret::TokenHash;

/// A row of the table `mail_token`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mail_token")]
pub struct Model {
    /// Snowflake id, which contains the time of the attempt to send the mail.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user whose address or password the token concerns.
    pub user_id: i64,
    /// What the token permits.
    pub kind: Kind,
    /// The address that the mail was sent to.
    ///
    /// The token is valid only while it is the address of the user.
    pub email: String,
    /// The SHA-256 of the token.
    #[sea_orm(unique, column_type = "VarBinary(StringLen::N(32))")]
    pub token_hash: TokenHash,
    /// The time at which the token becomes invalid.
    pub expires_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
