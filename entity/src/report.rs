//! A report: a user's complaint about an account or a post.

use sea_orm::entity::prelude::*;

/// A row of the table `report`.
///
/// A user has at most one open report of the same account or post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "report")]
pub struct Model {
    /// Snowflake id: the time of the report and its position in lists.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The user who made the report.
    pub reporter_id: i64,
    /// The account that it is about, or the author of the post.
    pub user_id: i64,
    /// The post that it is about; `None` if it is about the account.
    ///
    /// The post can have been deleted.
    pub post_id: Option<i64>,
    /// What is wrong.
    pub reason: Reason,
    /// What the reporter says about it.
    pub comment: Option<String>,
    /// The text of the post at the time of the report.
    #[sea_orm(column_type = "Text", nullable)]
    pub body: Option<String>,
    pub state: State,
    /// The moderator who resolved the report. The account can have been deleted.
    pub resolver_id: Option<i64>,
    /// The time of the resolution.
    pub resolved_at: Option<DateTimeUtc>,
    #[sea_orm(belongs_to, relation_enum = "Reporter", from = "reporter_id", to = "id")]
    pub reporter: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Reported", from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

/// What is wrong with an account or a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Reason {
    /// Unwanted advertising, or the same text many times.
    Spam = 0,
    /// Insults, threats or harassment.
    Abuse = 1,
    /// Content that the law forbids.
    Illegal = 2,
    /// The account pretends to be another person or organisation.
    Impersonation = 3,
    /// Anything else, which the comment explains.
    Other = 4,
}

/// Whether a report waits for a moderator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum State {
    /// No moderator has resolved the report.
    Open = 0,
    /// A moderator has resolved it.
    Resolved = 1,
}

impl ActiveModelBehavior for ActiveModel {}

/// The condition that a viewer may see a report.
///
/// The reporter and moderators may. `viewer` is an expression with the viewer's id.
#[must_use]
pub fn visible_to_sql(viewer: &str) -> String {
    let is_moderator = super::user::is_moderator_sql(viewer);
    format!("(report.reporter_id = {viewer} OR {is_moderator})")
}
