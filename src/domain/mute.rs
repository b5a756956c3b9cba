//! Mutes: mute and unmute a user, and end mutes that have expired.
//!
//! The muted user is not informed. A mute needs no follow. The number of a user's mutes is stored,
//! so that the timelines of users without mutes cost nothing more.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use entity::{event, mute, user};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseTransaction, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set,
};

use super::pair::Pair;
use super::{RelationshipChange, Services};
use crate::auth::Viewer;
use crate::clock;
use crate::database::Snapshot;
use crate::error::Error;

/// Longest duration of a mute that expires, in seconds: 10 years.
pub const MAX_EXPIRY_SECONDS: i32 = 315_360_000;
/// Maximum number of mutes that one search for expired mutes finds.
const MAX_EXPIRED: u64 = 100;

/// The settings of a mute.
#[derive(Clone, Copy, Debug)]
pub struct MuteOptions {
    /// Seconds until the mute ends; `None` if it does not end by itself.
    pub expires_in: Option<i32>,
    /// Whether notifications about the muted user are hidden too.
    pub hides_notifications: bool,
}

/// Mutes `target` for the viewer, or changes the settings of the mute.
///
/// # Errors
/// [`Error::OutOfRange`] when `expires_in` is not from 1 to [`MAX_EXPIRY_SECONDS`];
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
pub async fn mute(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
    options: MuteOptions,
) -> Result<RelationshipChange, Error> {
    let is_in_range = |seconds| (1..=MAX_EXPIRY_SECONDS).contains(&seconds);
    if !options.expires_in.is_none_or(is_in_range) {
        let argument = "expiresInSeconds";
        return Err(Error::OutOfRange { argument, min: 1, max: MAX_EXPIRY_SECONDS });
    }
    let now = clock::now().trunc_subsecs(3);
    let expires_at = options.expires_in.map(|seconds| now + TimeDelta::seconds(seconds.into()));
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let (muter, muted) = (pair.viewer.id, pair.target.id);
    let previous = find(&transaction, muter, muted).await?;
    let is_same = previous.as_ref().is_some_and(|previous| {
        let is_active = is_active_at(previous, now);
        let settings = (previous.expires_at, previous.hides_notifications);
        is_active && settings == (expires_at, options.hides_notifications)
    });
    if is_same {
        return Ok(RelationshipChange { changed: false, user: muted });
    }
    if let Some(previous) = &previous {
        mute::Entity::delete_by_id(previous.id).exec(&transaction).await?;
    } else {
        add_to_count(&transaction, muter, 1).await?;
    }
    let row = mute::ActiveModel {
        id: Set(services.ids.next()),
        muter_id: Set(muter),
        muted_id: Set(muted),
        expires_at: Set(expires_at),
        hides_notifications: Set(options.hides_notifications),
    };
    mute::Entity::insert(row).exec_without_returning(&transaction).await?;
    services.record_event(&transaction, event::Kind::Muted, muter, muted).await?;
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed: true, user: muted })
}

/// Ends the viewer's mute of `target`.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
pub async fn unmute(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<RelationshipChange, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let (muter, muted) = (pair.viewer.id, pair.target.id);
    let previous = find(&transaction, muter, muted).await?;
    // A mute that has expired is left to `end_expired`.
    let active = previous.filter(|previous| is_active_at(previous, clock::now()));
    if let Some(active) = &active {
        end(services, &transaction, active).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed: active.is_some(), user: muted })
}

/// Number of users whom the viewer mutes.
pub async fn count(snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
    let is_active = Condition::any()
        .add(mute::Column::ExpiresAt.is_null())
        .add(mute::Column::ExpiresAt.gt(clock::now()));
    let mutes =
        mute::Entity::find().filter(mute::Column::MuterId.eq(viewer.id())).filter(is_active);
    let count = mutes.count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}

/// Ends at most 100 expired mutes, so that open streams receive a reset.
///
/// Returns whether there may be more. Each is a transaction. Another instance may end the same
/// mutes at the same time.
///
/// # Errors
/// Any error of the database.
pub async fn end_expired(services: &Services) -> Result<bool, Error> {
    let has_expired = mute::Column::ExpiresAt.lte(clock::now());
    let expired: Vec<mute::Model> = {
        let snapshot = Snapshot::new(&services.db);
        let query = mute::Entity::find().filter(has_expired.clone());
        let query = query.order_by_asc(mute::Column::ExpiresAt).limit(MAX_EXPIRED);
        query.all(&**snapshot.read(0).await?).await?
    };
    for found in &expired {
        let transaction = services.db.begin().await?;
        // Both, as `Pair::lock` does: otherwise a concurrent `mute` could have the smaller
        // transaction id, and its event would be dispatched first.
        let is_either = user::Column::Id.is_in([found.muter_id, found.muted_id]);
        user::Entity::find_for_update(is_either).all(&transaction).await?;
        let query = mute::Entity::find_by_id(found.id).filter(has_expired.clone());
        if let Some(current) = query.one(&transaction).await? {
            end(services, &transaction, &current).await?;
            transaction.commit().await?;
            services.db.notifier().notify();
        }
    }
    Ok(expired.len() as u64 == MAX_EXPIRED)
}

/// Whether a mute has not expired at `now`.
fn is_active_at(mute: &mute::Model, now: DateTime<Utc>) -> bool {
    mute.expires_at.is_none_or(|expires_at| expires_at > now)
}

async fn find(
    transaction: &DatabaseTransaction,
    muter: i64,
    muted: i64,
) -> Result<Option<mute::Model>, DbErr> {
    mute::Entity::find()
        .filter(mute::Column::MuterId.eq(muter))
        .filter(mute::Column::MutedId.eq(muted))
        .one(transaction)
        .await
}

/// Deletes a mute whose muter is locked, and records the event.
async fn end(
    services: &Services,
    transaction: &DatabaseTransaction,
    mute: &mute::Model,
) -> Result<(), DbErr> {
    mute::Entity::delete_by_id(mute.id).exec(transaction).await?;
    add_to_count(transaction, mute.muter_id, -1).await?;
    services.record_event(transaction, event::Kind::Unmuted, mute.muter_id, mute.muted_id).await
}

async fn add_to_count(
    transaction: &DatabaseTransaction,
    muter: i64,
    difference: i32,
) -> Result<(), DbErr> {
    let count = user::Column::MutesCount;
    user::Entity::update_many()
        .col_expr(count, Expr::col(count).add(difference))
        .filter(user::Column::Id.eq(muter))
        .exec(transaction)
        .await
        .map(drop)
}
