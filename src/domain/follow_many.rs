//! Follows of many users in one transaction.
//!
//! The rules are those of `follow`. They are applied to each user in the order of the request, so a
//! limit refuses the last ones. The number of statements does not depend on the number of users.

use std::collections::HashSet;

use entity::{block, event, follow, follow_request, user};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _, Set,
};

use super::Services;
use super::notification::{self, Notice};
use super::pair::{check_total, count_today};
use crate::auth::Viewer;
use crate::clock;
use crate::error::{Error, UserError, UserErrorKind};

/// Maximum number of users of one operation.
pub const MAX_USERS: i32 = 100;

/// What happened to one user of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowResult {
    /// The viewer follows the user now.
    Followed(i64),
    /// The viewer has asked to follow the user.
    Requested(i64),
    /// The viewer has followed the user, or asked to, before.
    Unchanged(i64),
    /// The rules do not permit it.
    Refused(UserError),
}

/// Makes the viewer follow `targets`, or ask to follow those who are protected.
///
/// There is a result for each target, in the same order.
///
/// # Errors
/// [`Error::OutOfRange`] when there are not 1 to [`MAX_USERS`] targets; [`Error::Unauthenticated`]
/// when the viewer's account was deleted; any error of the database.
pub async fn follow_many(
    services: &Services,
    viewer: &Viewer,
    targets: &[i64],
) -> Result<Vec<FollowResult>, Error> {
    if !i32::try_from(targets.len()).is_ok_and(|count| (1..=MAX_USERS).contains(&count)) {
        return Err(Error::OutOfRange { argument: "userIds", min: 1, max: MAX_USERS });
    }
    let transaction = services.db.begin().await?;
    let ids = targets.iter().copied().chain([viewer.id()]);
    let users = user::Entity::find_for_update(user::Column::Id.is_in(ids));
    let users = users.all(&transaction).await?;
    let (of_viewer, others): (Vec<_>, _) =
        users.into_iter().partition(|user| user.id == viewer.id());
    let follower = of_viewer.into_iter().next().ok_or_else(Error::account_changed)?;
    let existing = Existing::read(&transaction, viewer.id(), targets).await?;
    let mut plan = Plan { follower, others, existing, follows: vec![], requests: vec![] };
    let results: Vec<FollowResult> =
        targets.iter().map(|target| plan.add(services, *target)).collect();
    if !plan.follows.is_empty() || !plan.requests.is_empty() {
        plan.write(services, &transaction).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(results)
}

/// What exists between the viewer and the targets.
struct Existing {
    followed: HashSet<i64>,
    requested: HashSet<i64>,
    /// Users who block the viewer, or whom the viewer blocks.
    blocked: HashSet<i64>,
}

impl Existing {
    async fn read(
        transaction: &DatabaseTransaction,
        viewer: i64,
        targets: &[i64],
    ) -> Result<Self, DbErr> {
        let targets = || targets.iter().copied();
        let follows = follow::Entity::find()
            .select_only()
            .column(follow::Column::FollowedId)
            .filter(follow::Column::FollowerId.eq(viewer))
            .filter(follow::Column::FollowedId.is_in(targets()));
        let requests = follow_request::Entity::find()
            .select_only()
            .column(follow_request::Column::TargetId)
            .filter(follow_request::Column::RequesterId.eq(viewer))
            .filter(follow_request::Column::TargetId.is_in(targets()));
        let by_viewer = Condition::all()
            .add(block::Column::BlockerId.eq(viewer))
            .add(block::Column::BlockedId.is_in(targets()));
        let of_viewer = Condition::all()
            .add(block::Column::BlockedId.eq(viewer))
            .add(block::Column::BlockerId.is_in(targets()));
        let blocks = block::Entity::find().filter(Condition::any().add(by_viewer).add(of_viewer));
        let blocks = blocks.all(transaction).await?;
        Ok(Self {
            followed: follows.into_tuple().all(transaction).await?.into_iter().collect(),
            requested: requests.into_tuple().all(transaction).await?.into_iter().collect(),
            blocked: blocks.iter().flat_map(|row| [row.blocker_id, row.blocked_id]).collect(),
        })
    }
}

/// The changes of the operation.
struct Plan {
    /// The viewer, with the counts after the changes so far.
    follower: user::Model,
    /// The targets that exist, without the viewer.
    others: Vec<user::Model>,
    existing: Existing,
    /// Ids of the users whom the viewer follows newly.
    follows: Vec<i64>,
    /// Ids of the users whom the viewer asks newly.
    requests: Vec<i64>,
}

impl Plan {
    /// Adds the follow of a user, or the request, if the rules permit it.
    fn add(&mut self, services: &Services, target: i64) -> FollowResult {
        let refused = |kind: UserErrorKind, message: &str| {
            FollowResult::Refused(kind.at(&["userIds"], message))
        };
        if target == self.follower.id {
            return refused(UserErrorKind::SelfTarget, "This is your own account.");
        }
        let Some(user) = self.others.iter().find(|user| user.id == target) else {
            return refused(UserErrorKind::NotFound, "There is no such user.");
        };
        if self.existing.blocked.contains(&target) {
            let message = "You have blocked this user, or this user has blocked you.";
            return refused(UserErrorKind::Blocked, message);
        }
        let is_requested = user.is_protected && self.existing.requested.contains(&target);
        if is_requested || self.existing.followed.contains(&target) {
            return FollowResult::Unchanged(target);
        }
        let limits = services.follow_limits;
        let made = check_total(limits, &self.follower, "You")
            .and_then(|()| count_today(limits, &self.follower, clock::now()));
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                return FollowResult::Refused(UserError { path: vec!["userIds"], ..error });
            }
        };
        (self.follower.follows_day, self.follower.follows_made) = (made.day, made.follows);
        if user.is_protected {
            self.existing.requested.insert(target);
            self.requests.push(target);
            FollowResult::Requested(target)
        } else {
            self.existing.followed.insert(target);
            self.follower.following_count += 1;
            self.follows.push(target);
            FollowResult::Followed(target)
        }
    }

    async fn write(
        &self,
        services: &Services,
        transaction: &DatabaseTransaction,
    ) -> Result<(), DbErr> {
        let viewer = self.follower.id;
        let follows = self.follows.iter().map(|target| follow::ActiveModel {
            id: Set(services.ids.next()),
            follower_id: Set(viewer),
            followed_id: Set(*target),
        });
        let requests = self.requests.iter().map(|target| follow_request::ActiveModel {
            id: Set(services.ids.next()),
            requester_id: Set(viewer),
            target_id: Set(*target),
        });
        let mut parts = Vec::new();
        if !self.follows.is_empty() {
            follow::Entity::insert_many(follows).exec_without_returning(transaction).await?;
            // These users may have ended their protection after a request.
            let ended = follow_request::Entity::delete_many()
                .filter(follow_request::Column::RequesterId.eq(viewer))
                .filter(follow_request::Column::TargetId.is_in(self.follows.iter().copied()))
                .exec(transaction)
                .await?;
            if ended.rows_affected > 0 {
                let requests = self.follows.iter().map(|user| Notice::of_request(viewer, *user));
                let requests: Vec<Notice> = requests.collect();
                parts = notification::withdraw(services, transaction, &requests).await?;
            }
            let count = user::Column::FollowersCount;
            user::Entity::update_many()
                .col_expr(count, Expr::col(count).add(1))
                .filter(user::Column::Id.is_in(self.follows.iter().copied()))
                .exec(transaction)
                .await?;
        }
        if !self.requests.is_empty() {
            let requests = follow_request::Entity::insert_many(requests);
            requests.exec_without_returning(transaction).await?;
        }
        let user::Model { following_count, follows_day, follows_made, .. } = self.follower;
        user::Entity::update_many()
            .col_expr(user::Column::FollowingCount, Expr::value(following_count))
            .col_expr(user::Column::FollowsDay, Expr::value(follows_day))
            .col_expr(user::Column::FollowsMade, Expr::value(follows_made))
            .filter(user::Column::Id.eq(viewer))
            .exec(transaction)
            .await?;
        let follows = self.follows.iter().map(|user| Notice::of_follow(viewer, *user));
        let requests = self.requests.iter().map(|user| Notice::of_request(viewer, *user));
        let notices: Vec<Notice> = follows.chain(requests).collect();
        parts.extend(notification::notify(services, transaction, &notices).await?);
        let follows = self.follows.iter().map(|user| (event::Kind::Followed, *user));
        let requests = self.requests.iter().map(|user| (event::Kind::FollowRequested, *user));
        services.record_changes(transaction, viewer, follows.chain(requests), &parts).await
    }
}
