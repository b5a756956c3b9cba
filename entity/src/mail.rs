//! A mail that has yet to be sent: the outbox of mails.
//!
//! A row is written in the transaction of its cause, and deleted when the mail is sent. It contains
//! no token: the task that sends the mail creates one.

use sea_orm::entity::prelude::*;

/// A row of the table `mail`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mail")]
pub struct Model {
    /// Snowflake id, which contains the time of the cause.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// What the mail says.
    pub kind: Kind,
    /// The address that it is sent to.
    pub email: String,
    /// The user whom it concerns.
    ///
    /// `None` for a password reset, which an address requests: the user is looked up later, so that
    /// the request takes as long for an unknown address.
    pub user_id: Option<i64>,
    /// Number of attempts to send it.
    pub attempts: i32,
    /// The time of the next attempt.
    pub due_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<Option<super::user::Entity>>,
}

/// What a mail says, and what its token permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    /// A link that verifies the address.
    VerifyEmail = 0,
    /// A link that sets a new password.
    ResetPassword = 1,
    /// A notice to the old address that the account has another one.
    EmailChanged = 2,
}

impl ActiveModelBehavior for ActiveModel {}
