//! What moderators do to accounts: suspend them, and end suspensions.
//!
//! Each action is recorded in the moderation log, in its transaction. `deletion` removes posts,
//! `report` resolves reports.

use chrono::{DateTime, TimeDelta, Utc};
use entity::moderation_log::Action;
use entity::user::{self, UserRef};
use sea_orm::{ColumnTrait as _, DatabaseTransaction};

use super::moderation_log::{self, Entry};
use super::suspension::{self, Suspension};
use super::{Services, validation};
use crate::auth::Moderator;
use crate::clock;
use crate::error::{Error, UserErrorKind};

/// Longest suspension with an end, in days: 100 years.
pub const MAX_SUSPENSION_DAYS: i64 = 36_500;

/// The result of an action on an account.
#[derive(Clone, Copy, Debug)]
pub struct ModeratedUser {
    /// Whether the action changed anything.
    pub changed: bool,
    /// Id of the account.
    pub user: i64,
    /// Number of posts, and of their reposts by others, whose visibility has changed.
    pub rows: u64,
}

/// Suspends a user, or changes the settings of the suspension.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `NotFound` or `SelfTarget`; [`Error::Forbidden`] when
/// the user has the same role as the moderator or a higher one; any error of the database.
pub async fn suspend_user(
    services: &Services,
    moderator: &Moderator,
    target: &UserRef,
    (until, reason): (Option<DateTime<Utc>>, String),
) -> Result<ModeratedUser, Error> {
    let reason = validation::reason(reason, &["reason"])?;
    let now = clock::now();
    let latest = now + TimeDelta::days(MAX_SUSPENSION_DAYS);
    if until.is_some_and(|until| until <= now || until > latest) {
        let message = "The suspension must end in the future, and within 100 years.";
        return Err(UserErrorKind::InvalidInput.at(&["until"], message).into());
    }
    let suspension = Suspension { until, reason: reason.clone() };
    let transaction = services.db.begin().await?;
    let user = lock_target(&transaction, moderator, target).await?;
    let done = suspension::suspend(&services.db, &transaction, &user, &suspension).await?;
    if done.changed {
        let entry = Entry::new(Action::SuspendUser, Some(moderator.id()), user.id);
        let entry = Entry { reason: Some(reason), until, ..entry };
        moderation_log::record(&transaction, services.ids.next(), entry).await?;
    }
    services.commit(transaction, moderator).await?;
    Ok(ModeratedUser { changed: done.changed, user: user.id, rows: done.rows })
}

/// Ends the suspension of a user.
///
/// # Errors
/// Those of [`suspend_user`].
pub async fn unsuspend_user(
    services: &Services,
    moderator: &Moderator,
    target: &UserRef,
    reason: Option<String>,
) -> Result<ModeratedUser, Error> {
    let reason = reason.map(|reason| validation::reason(reason, &["reason"])).transpose()?;
    let transaction = services.db.begin().await?;
    let user = lock_target(&transaction, moderator, target).await?;
    let done = suspension::unsuspend(&services.db, &transaction, &user).await?;
    if done.changed {
        let entry = Entry::new(Action::UnsuspendUser, Some(moderator.id()), user.id);
        let entry = Entry { reason, ..entry };
        moderation_log::record(&transaction, services.ids.next(), entry).await?;
    }
    services.commit(transaction, moderator).await?;
    Ok(ModeratedUser { changed: done.changed, user: user.id, rows: done.rows })
}

/// Locks the account that a moderator acts on.
async fn lock_target(
    transaction: &DatabaseTransaction,
    moderator: &Moderator,
    target: &UserRef,
) -> Result<user::Model, Error> {
    let missing = || UserErrorKind::NotFound.at(&["user"], "There is no such user.");
    let found = user::Entity::find_by(target).one(transaction).await?.ok_or_else(missing)?;
    if found.id == moderator.id() {
        let message = "This is your own account. Choose another user.";
        return Err(UserErrorKind::SelfTarget.at(&["user"], message).into());
    }
    let query = user::Entity::find_for_update(user::Column::Id.eq(found.id));
    let user = query.one(transaction).await?.ok_or_else(missing)?;
    moderator.check_may_act_on(user.role)?;
    Ok(user)
}
