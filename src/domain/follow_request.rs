//! Requests to follow a protected user: accept, reject and count them.
//!
//! `follow` makes a request and withdraws it. A request remains when the user ends the protection.

use entity::{event, follow_request, user};
use sea_orm::{ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _};

use super::notification::{self, Notice};
use super::pair::{FollowCause, Pair, add_follow, delete_request, follow_exists};
use super::{Change, RelationshipChange, Services};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::{Error, UserErrorKind};

/// Accepts the request of `requester` to follow the viewer.
///
/// Changes nothing if the requester follows the viewer already.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`, `SelfTarget` or `FollowLimit`; [`Error::Unauthenticated`]
/// when the viewer's account was deleted; any error of the database.
pub async fn accept(
    services: &Services,
    viewer: &Viewer,
    requester: &user::UserRef,
) -> Result<RelationshipChange, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, requester).await?;
    let (follower, followed) = (pair.target.id, pair.viewer.id);
    let changed = delete_request(&transaction, follower, followed).await?;
    if changed {
        let follow = (&pair.target, followed);
        add_follow(services, &transaction, follow, FollowCause::Acceptance).await?;
        let request = Notice::of_request(follower, followed);
        let mut parts = notification::withdraw(services, &transaction, &[request]).await?;
        let accepted = Notice::of_acceptance(follower, followed);
        parts.extend(notification::notify(services, &transaction, &[accepted]).await?);
        let event = Change { kind: event::Kind::Followed, actor: follower, object: followed };
        services.record(&transaction, event, &parts).await?;
    } else if !follow_exists(&transaction, follower, followed).await? {
        let message = "This user has not asked to follow you.";
        return Err(UserErrorKind::NotFound.at(&["user"], message).into());
    }
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed, user: follower })
}

/// Rejects the request of `requester` to follow the viewer, if there is one.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
pub async fn reject(
    services: &Services,
    viewer: &Viewer,
    requester: &user::UserRef,
) -> Result<RelationshipChange, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, requester).await?;
    let (requester, target) = (pair.target.id, pair.viewer.id);
    let changed = delete_request(&transaction, requester, target).await?;
    if changed {
        let request = Notice::of_request(requester, target);
        let parts = notification::withdraw(services, &transaction, &[request]).await?;
        let kind = event::Kind::FollowRequestEnded;
        let event = Change { kind, actor: target, object: requester };
        services.record(&transaction, event, &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed, user: requester })
}

/// The side of the viewer's requests that is counted.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// Requests to follow the viewer.
    Received,
    /// The viewer's requests to follow others.
    Sent,
}

/// Number of requests of one side.
///
/// # Errors
/// Any error of the database.
pub async fn count(snapshot: &Snapshot, viewer: &Viewer, side: Side) -> Result<u64, Error> {
    let column = match side {
        Side::Received => follow_request::Column::TargetId,
        Side::Sent => follow_request::Column::RequesterId,
    };
    let requests = follow_request::Entity::find().filter(column.eq(viewer.id()));
    let count = requests.count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}
