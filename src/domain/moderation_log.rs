//! The moderation log: record actions, list and count them.
//!
//! An entry is recorded in the transaction of its action. It can neither be changed nor deleted.

use chrono::{DateTime, SubsecRound as _, Utc};
use entity::moderation_log::{self, Action};
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait as _, PaginatorTrait as _, Set};

use crate::auth::Moderator;
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{Page, PageRequest, all_pages_sql};

/// An action that is to be recorded.
#[derive(Clone, Debug)]
pub struct Entry {
    pub action: Action,
    /// The moderator; `None` for a command of the operator.
    pub actor: Option<i64>,
    pub user: Option<i64>,
    pub post: Option<i64>,
    pub report: Option<i64>,
    pub reason: Option<String>,
    /// What the action has set, such as the new role.
    pub detail: Option<String>,
    /// The end of the suspension.
    pub until: Option<DateTime<Utc>>,
}

impl Entry {
    /// An action on an account by a moderator, or by the operator without one.
    #[must_use]
    pub fn new(action: Action, actor: Option<i64>, user: i64) -> Self {
        let user = Some(user);
        Self {
            action,
            actor,
            user,
            post: None,
            report: None,
            reason: None,
            detail: None,
            until: None,
        }
    }
}

/// Records an action with a new id, in the transaction of the action.
///
/// # Errors
/// Any error of the database.
pub async fn record(transaction: &DatabaseTransaction, id: i64, entry: Entry) -> Result<(), DbErr> {
    let row = moderation_log::ActiveModel {
        id: Set(id),
        action: Set(entry.action),
        actor_id: Set(entry.actor),
        user_id: Set(entry.user),
        post_id: Set(entry.post),
        report_id: Set(entry.report),
        reason: Set(entry.reason),
        detail: Set(entry.detail),
        suspended_until: Set(entry.until.map(|until| until.trunc_subsecs(3))),
    };
    moderation_log::Entity::insert(row).exec_without_returning(transaction).await.map(drop)
}

/// A page of all entries, newest first.
///
/// # Errors
/// Any error of the database.
pub async fn page(
    snapshot: &Snapshot,
    _: &Moderator,
    request: &PageRequest<i64>,
) -> Result<Page<moderation_log::Model>, Error> {
    let (start, end) = request.bounds();
    let values = [true.into(), start.into(), end.into(), request.limit().into()];
    let source = all_pages_sql(snapshot.engine(), "moderation_log", "", request.direction);
    let sql = format!("SELECT moderation_log.* FROM {source}");
    let rows = snapshot.all(request.rows(), &sql, values).await?;
    Ok(Page::new(request, rows, |entry: &moderation_log::Model| entry.id))
}

/// Number of all entries.
///
/// # Errors
/// Any error of the database.
pub async fn count(snapshot: &Snapshot, _: &Moderator) -> Result<u64, Error> {
    let count = moderation_log::Entity::find().count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}
