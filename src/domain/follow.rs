//! Follows: follow, unfollow and remove a follower.
//!
//! Each operation locks both users. It changes the follow, both users' counts and the event in one
//! transaction, so the counts always equal the rows. An operation that has nothing to change
//! succeeds with `changed: false`. The follow of a protected user begins as a request, on which
//! `follow_request` decides.

use entity::{event, user};

use super::notification::{self, Notice};
use super::pair::{
    FollowCause, Pair, add_follow, add_request, delete_follow, delete_request, follow_exists,
};
use super::{Change, RelationshipChange, Services};
use crate::auth::Viewer;
use crate::error::Error;

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

/// Makes the viewer follow `target`, or ask to follow a protected user.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`, `SelfTarget`, `Blocked` or `FollowLimit`;
/// [`Error::Unauthenticated`] when the viewer's account was deleted; any error of the database.
pub async fn follow(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<FollowChange, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, target).await?;
    pair.check_contact(&transaction).await?;
    let (follower, followed) = (pair.viewer.id, pair.target.id);
    let needs_consent =
        pair.target.is_protected && !follow_exists(&transaction, follower, followed).await?;
    let request = Notice::of_request(follower, followed);
    let mut parts = Vec::new();
    let (changed, kind, notice) = if needs_consent {
        let is_new = add_request(services, &transaction, &pair.viewer, followed).await?;
        (is_new, event::Kind::FollowRequested, request)
    } else {
        // The user may have ended the protection after a request.
        if delete_request(&transaction, follower, followed).await? {
            parts = notification::withdraw(services, &transaction, &[request]).await?;
        }
        let follow = (&pair.viewer, followed);
        let is_new = add_follow(services, &transaction, follow, FollowCause::Follower).await?;
        (is_new, event::Kind::Followed, Notice::of_follow(follower, followed))
    };
    if changed {
        parts.extend(notification::notify(services, &transaction, &[notice]).await?);
        let event = Change { kind, actor: follower, object: followed };
        services.record(&transaction, event, &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(FollowChange { changed, follower, followed })
}

/// Ends the viewer's follow of `target`, or withdraws the request to follow.
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
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let (follower, followed) = (pair.viewer.id, pair.target.id);
    let mut kind = event::Kind::Unfollowed;
    let mut notices = Notice::of_ended_follow(follower, followed).to_vec();
    let mut changed = delete_follow(&transaction, follower, followed).await?;
    if !changed {
        kind = event::Kind::FollowRequestEnded;
        notices = vec![Notice::of_request(follower, followed)];
        changed = delete_request(&transaction, follower, followed).await?;
    }
    if changed {
        let parts = notification::withdraw(services, &transaction, &notices).await?;
        let event = Change { kind, actor: follower, object: followed };
        services.record(&transaction, event, &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(FollowChange { changed, follower, followed })
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
) -> Result<RelationshipChange, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let (followed, follower) = (pair.viewer.id, pair.target.id);
    let changed = delete_follow(&transaction, follower, followed).await?;
    if changed {
        let notices = Notice::of_ended_follow(follower, followed);
        let parts = notification::withdraw(services, &transaction, &notices).await?;
        let event = Change { kind: event::Kind::Unfollowed, actor: follower, object: followed };
        services.record(&transaction, event, &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed, user: follower })
}
