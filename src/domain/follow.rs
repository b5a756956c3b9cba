//! Follows: follow, unfollow and remove a follower.
//!
//! Each operation locks both users, in the order of their ids. It changes the follow, both users'
//! counts and the event in one transaction, so the counts always equal the rows. An operation that
//! has nothing to change succeeds with `changed: false`.

use chrono::{DateTime, Utc};
use entity::{event, follow, user};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, Select,
};

use super::{FollowLimits, Services};
use crate::auth::Viewer;
use crate::error::{Error, UserErrorKind};
use crate::ids::snowflake;

const SECONDS_PER_DAY: i64 = 86_400;

/// The result of an operation on a follow.
#[derive(Clone, Debug)]
pub struct FollowChange {
    /// Whether the operation changed anything.
    pub changed: bool,
    /// The follower after the operation.
    pub follower: user::Model,
    /// The followed user after the operation.
    pub followed: user::Model,
    /// The follow after the operation. `None` if there is none.
    pub edge: Option<follow::Model>,
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
    let change = if inserted {
        let edge = follow::Model { id, follower_id: follower.id, followed_id: followed.id };
        let daily_count =
            check_follow_limits(services.follow_limits, &follower, snowflake::timestamp_of(id))?;
        services
            .record_event(&transaction, event::Kind::Followed, follower.id, followed.id)
            .await?;
        let change = CountChange::Followed(edge, daily_count);
        update_counts(&transaction, follower.id, followed.id, change).await?
    } else {
        let edge = find_follow(follower.id, followed.id).one(&transaction).await?;
        FollowChange { changed: false, follower, followed, edge }
    };
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
    let change = delete_follow(services, &transaction, follower, followed).await?;
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
    let change = delete_follow(services, &transaction, follower, followed).await?;
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

fn find_follow(follower: i64, followed: i64) -> Select<follow::Entity> {
    follow::Entity::find()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed))
}

/// Deletes a follow, if there is one, and updates the counts of both users.
async fn delete_follow(
    services: &Services,
    transaction: &DatabaseTransaction,
    follower: user::Model,
    followed: user::Model,
) -> Result<FollowChange, Error> {
    let deleted = follow::Entity::delete_many()
        .filter(follow::Column::FollowerId.eq(follower.id))
        .filter(follow::Column::FollowedId.eq(followed.id))
        .exec(transaction)
        .await?;
    if deleted.rows_affected == 0 {
        return Ok(FollowChange { changed: false, follower, followed, edge: None });
    }
    services.record_event(transaction, event::Kind::Unfollowed, follower.id, followed.id).await?;
    update_counts(transaction, follower.id, followed.id, CountChange::Unfollowed).await
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
    let day = now.timestamp().div_euclid(SECONDS_PER_DAY);
    let day = i32::try_from(day).unwrap_or(i32::MAX);
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
    Followed(follow::Model, DailyCount),
    Unfollowed,
}

/// Updates the counts of both users in one statement, and returns the users.
async fn update_counts(
    transaction: &DatabaseTransaction,
    follower: i64,
    followed: i64,
    change: CountChange,
) -> Result<FollowChange, Error> {
    let difference = if matches!(change, CountChange::Unfollowed) { -1 } else { 1 };
    let add = |count: user::Column, id: i64| {
        let summand = CaseStatement::new().case(user::Column::Id.eq(id), difference).finally(0);
        Expr::col(count).add(summand)
    };
    let (following, followers) = (user::Column::FollowingCount, user::Column::FollowersCount);
    let mut update = user::Entity::update_many()
        .col_expr(following, add(following, follower))
        .col_expr(followers, add(followers, followed));
    let edge = match change {
        CountChange::Unfollowed => None,
        CountChange::Followed(edge, daily_count) => {
            let set_for_follower = |column: user::Column, value: i32| {
                let case = CaseStatement::new().case(user::Column::Id.eq(follower), value);
                Expr::Case(Box::new(case.finally(Expr::col(column))))
            };
            let (day, follows) = (user::Column::FollowsDay, user::Column::FollowsMade);
            update = update.col_expr(day, set_for_follower(day, daily_count.day));
            update = update.col_expr(follows, set_for_follower(follows, daily_count.follows));
            Some(edge)
        }
    };
    let users = update
        .filter(user::Column::Id.is_in([follower, followed]))
        .exec_with_returning(transaction)
        .await?;
    let find = |id| users.iter().find(|user| user.id == id).cloned();
    match (find(follower), find(followed)) {
        (Some(follower), Some(followed)) => {
            Ok(FollowChange { changed: true, follower, followed, edge })
        }
        _ => Err(Error::account_changed()),
    }
}
