//! Blocks: block and unblock a user, and list the users whom the viewer blocks.
//!
//! A block ends all contact between two users, in both directions. It does not hide public data, so
//! all viewers see the same lists and counts.

use entity::{block, event, user};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
};

use super::notification::{MAX_WITHDRAWN, withdraw_between};
use super::pair::{Pair, delete_follow, delete_request};
use super::steps::{Step, run_steps};
use super::{Change, RelationshipChange, Services};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::Error;

/// Blocks `target` for the viewer.
///
/// The follows between the two users end in both directions, and so do requests. Notifications that
/// they have of each other are deleted: many of them in transactions of their own, before that of
/// the block.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database. After the first transaction,
/// [`Error::OutcomeUnknown`] replaces the errors that mean that nothing was changed.
pub async fn block(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<RelationshipChange, Error> {
    run_steps(|_| block_step(services, viewer, target)).await
}

/// Withdraws notifications of a block, and blocks the user if none are left.
async fn block_step(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<Step<RelationshipChange>, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let (blocker, blocked) = (pair.viewer.id, pair.target.id);
    let parts = withdraw_between(services, &transaction, (blocker, blocked)).await?;
    if let Some(first) = parts.first().filter(|_| parts.len() >= MAX_WITHDRAWN) {
        // Subscribers receive the parts, of which the event repeats the first.
        services.record(&transaction, *first, &parts).await?;
        services.commit(transaction, viewer).await?;
        return Ok(Step::Partial);
    }
    let statement = services.db.statement(
        "INSERT INTO block (id, blocker_id, blocked_id) VALUES ($1, $2, $3) \
         ON CONFLICT (blocker_id, blocked_id) DO NOTHING",
        [services.ids.next().into(), blocker.into(), blocked.into()],
    );
    let mut changed = transaction.execute_raw(statement).await?.rows_affected() > 0;
    for (follower, followed) in [(blocker, blocked), (blocked, blocker)] {
        changed |= delete_follow(&transaction, follower, followed).await?;
        changed |= delete_request(&transaction, follower, followed).await?;
    }
    let event = Change { kind: event::Kind::Blocked, actor: blocker, object: blocked };
    let event = if changed { Some(event) } else { parts.first().copied() };
    if let Some(event) = event {
        services.record(&transaction, event, &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(Step::Last(RelationshipChange { changed, user: blocked }))
}

/// Ends the viewer's block of `target`. Follows are not restored.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
pub async fn unblock(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<RelationshipChange, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let (blocker, blocked) = (pair.viewer.id, pair.target.id);
    let deleted = block::Entity::delete_many()
        .filter(block::Column::BlockerId.eq(blocker))
        .filter(block::Column::BlockedId.eq(blocked))
        .exec(&transaction)
        .await?;
    let changed = deleted.rows_affected > 0;
    if changed {
        services.record_event(&transaction, event::Kind::Unblocked, blocker, blocked).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed, user: blocked })
}

/// Number of users whom the viewer blocks.
pub async fn count(snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
    let blocks = block::Entity::find().filter(block::Column::BlockerId.eq(viewer.id()));
    let count = blocks.count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}
