//! Follows: follow, unfollow and remove a follower.
//!
//! Each operation locks both users. It changes the follow, both users' counts and the event in one
//! transaction, so the counts always equal the rows. An operation that has nothing to change
//! succeeds with `changed: false`.

use entity::{event, user};

use super::pair::{Pair, add_follow, delete_follow};
use super::{RelationshipChange, Services};
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

/// Makes the viewer follow `target`.
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
    let changed = add_follow(services, &transaction, &pair.viewer, followed).await?;
    if changed {
        services.record_event(&transaction, event::Kind::Followed, follower, followed).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(FollowChange { changed, follower, followed })
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
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let (follower, followed) = (pair.viewer.id, pair.target.id);
    let changed = delete_follow(&transaction, follower, followed).await?;
    if changed {
        services.record_event(&transaction, event::Kind::Unfollowed, follower, followed).await?;
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
        services.record_event(&transaction, event::Kind::Unfollowed, follower, followed).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed, user: follower })
}
