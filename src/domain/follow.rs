//! Follows: follow, unfollow and remove a follower.
//!
//! Each operation locks both users, in the order of their ids. It changes the follow, both users'
//! counts and the event in one transaction, so the counts always equal the rows. An operation that
//! has nothing to change succeeds with `changed: false`.

use chrono::{DateTime, Utc};
use entity::{event, follow, user};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _,
};

use super::{FollowLimits, Services, day_of};
use crate::auth::Viewer;
use crate::clock;
use crate::error::{Error, UserErrorKind};

/// The result of an operation on a follow.
#[derive(Clone, Copy, Debug)]
pub struct FollowChange {
    /// Whether the operation changed anything.
    pub changed: bool,
    /// Id of the follower.
    pub follower: i64,
    /// Id of the followed user.
    pub followed: i64,
}

/// Makes the viewer follow `target`.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`, `SelfTarget` or `FollowLimit`; [`Error::Unauthenticated`]
/// when the viewer's account was deleted; any error of the database.
pub async fn follow(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<FollowChange, Error> {
    let transaction = services.db.begin().await?;
    let (follower, followed) = lock_pair(&transaction, viewer, target).await?;
    let id = services.ids.next();
    let statement = services.db.statement(
        "INSERT INTO follow (id, follower_id, followed_id) VALUES ($1, $2, $3) \
         ON CONFLICT (follower_id, followed_id) DO NOTHING",
        [id.into(), follower.id.into(), followed.id.into()],
    );
    let inserted = transaction.execute_raw(statement).await?.rows_affected() > 0;
    if inserted {
        let daily_count = check_follow_limits(services.follow_limits, &follower, clock::now())?;
        services
            .record_event(&transaction, event::Kind::Followed, follower.id, followed.id)
            .await?;
        let change = CountChange::Followed(daily_count);
        update_counts(&transaction, follower.id, followed.id, change).await?;
    }
    let change = FollowChange { changed: inserted, follower: follower.id, followed: followed.id };
    services.commit(transaction, viewer).await?;
    Ok(change)
}

/// Makes the viewer unfollow `target`.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
pub async fn unfollow(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<FollowChange, Error> {
    let transaction = services.db.begin().await?;
    let (follower, followed) = lock_pair(&transaction, viewer, target).await?;
    let change = delete_follow(services, &transaction, follower.id, followed.id).await?;
    services.commit(transaction, viewer).await?;
    Ok(change)
}

/// Removes `target` from the viewer's followers.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
pub async fn remove_follower(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<FollowChange, Error> {
    let transaction = services.db.begin().await?;
    let (followed, follower) = lock_pair(&transaction, viewer, target).await?;
    let change = delete_follow(services, &transaction, follower.id, followed.id).await?;
    services.commit(transaction, viewer).await?;
    Ok(change)
}

/// Locks the viewer and the target, and returns their rows in this order.
///
/// No other transaction can change the follows or counts of either user meanwhile.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
async fn lock_pair(
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<(user::Model, user::Model), Error> {
    let missing = || UserErrorKind::NotFound.at(&["user"], "There is no such user.");
    let target = user::Entity::find_by(target).one(transaction).await?.ok_or_else(missing)?;
    if target.id == viewer.id() {
        let message = "This is your own account. Choose another user.";
        return Err(UserErrorKind::SelfTarget.at(&["user"], message).into());
    }
    let is_either = user::Column::Id.is_in([viewer.id(), target.id]);
    let mut users = user::Entity::find_for_update(is_either).all(transaction).await?;
    let mut take =
        |id| users.iter().position(|user| user.id == id).map(|index| users.remove(index));
    let viewer = take(viewer.id()).ok_or_else(Error::account_changed)?;
    Ok((viewer, take(target.id).ok_or_else(missing)?))
}

/// Deletes a follow, if there is one, and updates the counts of both users.
async fn delete_follow(
    services: &Services,
    transaction: &DatabaseTransaction,
    follower: i64,
    followed: i64,
) -> Result<FollowChange, Error> {
    let deleted = follow::Entity::delete_many()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed))
        .exec(transaction)
        .await?;
    let changed = deleted.rows_affected > 0;
    if changed {
        services.record_event(transaction, event::Kind::Unfollowed, follower, followed).await?;
        update_counts(transaction, follower, followed, CountChange::Unfollowed).await?;
    }
    Ok(FollowChange { changed, follower, followed })
}

/// Checks the limits for one more follow, and returns the new count of the day.
///
/// # Errors
/// [`Error::Expected`] with `FollowLimit` when a limit is reached.
fn check_follow_limits(
    limits: FollowLimits,
    follower: &user::Model,
    now: DateTime<Utc>,
) -> Result<DailyCount, Error> {
    let limit_error = |limit: i32, period: &str| {
        let message = format!("You may follow no more than {limit} users {period}.");
        UserErrorKind::FollowLimit { limit }.at(&["user"], message).into()
    };
    if limits.total > 0 && follower.following_count >= limits.total {
        return Err(limit_error(limits.total, "altogether"));
    }
    let day = day_of(now);
    let follows = if follower.follows_day == day { follower.follows_made } else { 0 };
    if limits.per_day > 0 && follows >= limits.per_day {
        return Err(limit_error(limits.per_day, "a day"));
    }
    Ok(DailyCount { day, follows: follows.saturating_add(1) })
}

/// The number of follows that a user has made on a day.
struct DailyCount {
    /// Days since 1970-01-01 in UTC.
    day: i32,
    /// Follows on that day, including those that were undone.
    follows: i32,
}

/// The change that both users' counts are updated by.
enum CountChange {
    Followed(DailyCount),
    Unfollowed,
}

/// Updates the counts of both users in one statement.
async fn update_counts(
    transaction: &DatabaseTransaction,
    follower: i64,
    followed: i64,
    change: CountChange,
) -> Result<(), DbErr> {
    let difference = if matches!(change, CountChange::Unfollowed) { -1 } else { 1 };
    let add = |count: user::Column, id: i64| {
        let summand = CaseStatement::new().case(user::Column::Id.eq(id), difference).finally(0);
        Expr::col(count).add(summand)
    };
    let (following, followers) = (user::Column::FollowingCount, user::Column::FollowersCount);
    let mut update = user::Entity::update_many()
        .col_expr(following, add(following, follower))
        .col_expr(followers, add(followers, followed));
    if let CountChange::Followed(daily_count) = change {
        let set_for_follower = |column: user::Column, value: i32| {
            let case = CaseStatement::new().case(user::Column::Id.eq(follower), value);
            Expr::Case(Box::new(case.finally(Expr::col(column))))
        };
        let (day, follows) = (user::Column::FollowsDay, user::Column::FollowsMade);
        update = update.col_expr(day, set_for_follower(day, daily_count.day));
        update = update.col_expr(follows, set_for_follower(follows, daily_count.follows));
    }
    update.filter(user::Column::Id.is_in([follower, followed])).exec(transaction).await?;
    Ok(())
}
