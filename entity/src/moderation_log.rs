//! The moderation log: what moderators and operators did to accounts and posts.
//!
//! Triggers of the database refuse changes and deletions of its rows. The ids are no foreign keys,
//! because an entry outlives what it names.

use sea_orm::entity::prelude::*;

/// A row of the table `moderation_log`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "moderation_log")]
pub struct Model {
    /// Snowflake id: the time of the action and its position in the list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// What was done.
    pub action: Action,
    /// The moderator; `None` for a command of the operator.
    pub actor_id: Option<i64>,
    /// The account that the action is about, or the author of the post.
    pub user_id: Option<i64>,
    /// The post that the action is about.
    pub post_id: Option<i64>,
    /// The report that the action is about.
    pub report_id: Option<i64>,
    /// Why it was done, if the moderator has said so.
    pub reason: Option<String>,
    /// What the action has set, such as the new role.
    pub detail: Option<String>,
    /// The end of the suspension, if the action has set one.
    pub suspended_until: Option<DateTimeUtc>,
}

/// What a moderator or the operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Action {
    /// The account was suspended, or the settings of the suspension were changed.
    SuspendUser = 0,
    /// The suspension of the account was ended.
    UnsuspendUser = 1,
    /// The post was deleted.
    RemovePost = 2,
    /// The report was resolved.
    ResolveReport = 3,
    /// The account was created.
    CreateUser = 4,
    /// The password was set, and all sessions were ended.
    SetPassword = 5,
    /// The username was changed.
    RenameUser = 6,
    /// The role was changed.
    ChangeRole = 7,
    /// All sessions were ended.
    EndSessions = 8,
    /// The account was deleted.
    DeleteUser = 9,
}

impl ActiveModelBehavior for ActiveModel {}
