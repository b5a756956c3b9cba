//! The viewer and another user, locked for a write that concerns both.
//!
//! The rows are locked in the order of their ids. No other transaction can change the follows,
//! blocks or counts of either user meanwhile. Rules are in the files of the writes; here are the
//! changes of a follow and of a request to follow, which several writes make.

use chrono::{DateTime, Utc};
use entity::{block, follow, follow_request, user};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseTransaction, DbErr,
    EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
};

use super::{FollowLimits, Services, day_of};
use crate::auth::Viewer;
use crate::clock;
use crate::error::{Error, UserError, UserErrorKind};

/// The viewer and the target of a write, as they are when both are locked.
pub struct Pair {
    pub viewer: user::Model,
    pub target: user::Model,
}

impl Pair {
    /// Locks both users until the end of the transaction.
    ///
    /// # Errors
    /// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
    /// viewer's account was deleted; any error of the database.
    pub async fn lock(
        transaction: &DatabaseTransaction,
        viewer: &Viewer,
        target: &user::UserRef,
    ) -> Result<Self, Error> {
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
        Ok(Self { viewer, target: take(target.id).ok_or_else(missing)? })
    }

    /// Fails if either user blocks the other.
    ///
    /// # Errors
    /// [`Error::Expected`] with `Blocked`; any error of the database.
    pub async fn check_contact(&self, transaction: &DatabaseTransaction) -> Result<(), Error> {
        check_contact(transaction, (self.viewer.id, self.target.id), &["user"]).await
    }
}

/// Fails if one of two users blocks the other.
///
/// `path` is that of the argument that names the second user or their post.
///
/// # Errors
/// [`Error::Expected`] with `Blocked`; any error of the database.
pub async fn check_contact(
    transaction: &DatabaseTransaction,
    (one, other): (i64, i64),
    path: &'static [&'static str],
) -> Result<(), Error> {
    let blocks = |blocker: i64, blocked: i64| {
        Condition::all()
            .add(block::Column::BlockerId.eq(blocker))
            .add(block::Column::BlockedId.eq(blocked))
    };
    let either = Condition::any().add(blocks(one, other)).add(blocks(other, one));
    if block::Entity::find().filter(either).count(transaction).await? == 0 {
        return Ok(());
    }
    let message = "You have blocked this user, or this user has blocked you.";
    Err(UserErrorKind::Blocked.at(path, message).into())
}

/// What a follow is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowCause {
    /// The follower's own request, which counts towards the limit of the day.
    Follower,
    /// The followed user, who has accepted a request that was counted when it was made.
    Acceptance,
}

/// Adds a follow, if there is none. Returns whether it is new.
///
/// # Errors
/// [`Error::Expected`] with `FollowLimit`; any error of the database.
pub async fn add_follow(
    services: &Services,
    transaction: &DatabaseTransaction,
    (follower, followed): (&user::Model, i64),
    cause: FollowCause,
) -> Result<bool, Error> {
    let id = services.ids.next();
    let statement = services.db.statement(
        "INSERT INTO follow (id, follower_id, followed_id) VALUES ($1, $2, $3) \
         ON CONFLICT (follower_id, followed_id) DO NOTHING",
        [id.into(), follower.id.into(), followed.into()],
    );
    let is_new = transaction.execute_raw(statement).await?.rows_affected() > 0;
    if is_new {
        let limits = services.follow_limits;
        let is_counted = cause == FollowCause::Follower;
        let who = if is_counted { "You" } else { "This user" };
        check_total(limits, follower, who)?;
        let daily_count = is_counted.then(|| count_today(limits, follower, clock::now()));
        let change = CountChange::Followed(daily_count.transpose()?);
        update_counts(transaction, follower.id, followed, change).await?;
    }
    Ok(is_new)
}

/// Deletes a follow, if there is one. Returns whether there was one.
///
/// # Errors
/// Any error of the database.
pub async fn delete_follow(
    transaction: &DatabaseTransaction,
    follower: i64,
    followed: i64,
) -> Result<bool, DbErr> {
    let deleted = follow::Entity::delete_many()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed))
        .exec(transaction)
        .await?;
    if deleted.rows_affected == 0 {
        return Ok(false);
    }
    update_counts(transaction, follower, followed, CountChange::Unfollowed).await?;
    Ok(true)
}

/// Adds a request to follow, if there is none. Returns whether it is new.
///
/// It counts as a follow of the day.
///
/// # Errors
/// [`Error::Expected`] with `FollowLimit`; any error of the database.
pub async fn add_request(
    services: &Services,
    transaction: &DatabaseTransaction,
    requester: &user::Model,
    target: i64,
) -> Result<bool, Error> {
    let statement = services.db.statement(
        "INSERT INTO follow_request (id, requester_id, target_id) VALUES ($1, $2, $3) \
         ON CONFLICT (requester_id, target_id) DO NOTHING",
        [services.ids.next().into(), requester.id.into(), target.into()],
    );
    let is_new = transaction.execute_raw(statement).await?.rows_affected() > 0;
    if is_new {
        let limits = services.follow_limits;
        check_total(limits, requester, "You")?;
        let DailyCount { day, follows } = count_today(limits, requester, clock::now())?;
        user::Entity::update_many()
            .col_expr(user::Column::FollowsDay, Expr::value(day))
            .col_expr(user::Column::FollowsMade, Expr::value(follows))
            .filter(user::Column::Id.eq(requester.id))
            .exec(transaction)
            .await?;
    }
    Ok(is_new)
}

/// Deletes a request, if there is one. Returns whether there was one.
///
/// # Errors
/// Any error of the database.
pub async fn delete_request(
    transaction: &DatabaseTransaction,
    requester: i64,
    target: i64,
) -> Result<bool, DbErr> {
    let deleted = follow_request::Entity::delete_many()
        .filter(follow_request::Column::RequesterId.eq(requester))
        .filter(follow_request::Column::TargetId.eq(target))
        .exec(transaction)
        .await?;
    Ok(deleted.rows_affected > 0)
}

/// Whether a follow exists.
///
/// # Errors
/// Any error of the database.
pub async fn follow_exists(
    transaction: &DatabaseTransaction,
    follower: i64,
    followed: i64,
) -> Result<bool, DbErr> {
    let follows = follow::Entity::find()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed));
    Ok(follows.count(transaction).await? > 0)
}

/// Checks the limit of all follows of a user for another one.
///
/// `who` begins the message.
///
/// # Errors
/// `FollowLimit` when the limit is reached.
pub fn check_total(
    limits: FollowLimits,
    follower: &user::Model,
    who: &str,
) -> Result<(), UserError> {
    if limits.total > 0 && follower.following_count >= limits.total {
        return Err(limit_error(who, limits.total, "altogether"));
    }
    Ok(())
}

/// Checks the limit of the day for one more follow, and returns the new count.
///
/// # Errors
/// `FollowLimit` when the limit is reached.
pub fn count_today(
    limits: FollowLimits,
    follower: &user::Model,
    now: DateTime<Utc>,
) -> Result<DailyCount, UserError> {
    let day = day_of(now);
    let follows = if follower.follows_day == day { follower.follows_made } else { 0 };
    if limits.per_day > 0 && follows >= limits.per_day {
        return Err(limit_error("You", limits.per_day, "a day"));
    }
    Ok(DailyCount { day, follows: follows.saturating_add(1) })
}

fn limit_error(who: &str, limit: i32, period: &str) -> UserError {
    let message = format!("{who} may follow no more than {limit} users {period}.");
    UserErrorKind::FollowLimit { limit }.at(&["user"], message)
}

/// The number of follows that a user has made on a day.
pub struct DailyCount {
    /// Days since 1970-01-01 in UTC.
    pub day: i32,
    /// Follows and requests on that day, including those that were undone.
    pub follows: i32,
}

/// The change that both users' counts are updated by.
enum CountChange {
    /// With the follower's count of the day, if it changes.
    Followed(Option<DailyCount>),
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
    if let CountChange::Followed(Some(daily_count)) = change {
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
