//! Suspensions: suspend a user, end a suspension, and end those that are over.
//!
//! A suspended user cannot sign in. All sessions end, and `Services::commit` refuses writes that
//! they have begun. The posts and lists of the user are hidden from all viewers, and nothing is
//! deleted: follows, likes and counts stay. The end of the suspension shows everything again.

use chrono::{DateTime, SubsecRound as _, Utc};
use entity::event::Kind;
use entity::{session, user};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set,
};

use super::{Change, visibility};
use crate::clock;
use crate::database::{Database, Snapshot};
use crate::error::{Error, UserErrorKind};

/// Maximum number of suspensions that one search for those that are over finds.
const MAX_ENDED: u64 = 100;

/// The settings of a suspension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// The time at which it ends; `None` if it does not end by itself.
    pub until: Option<DateTime<Utc>>,
    /// Why the user is suspended. The user reads it at the next attempt to sign in.
    pub reason: String,
}

/// What a suspension, or its end, has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspended {
    /// Whether anything was changed.
    pub changed: bool,
    /// Number of posts, and of their reposts by others, whose visibility has changed.
    pub rows: u64,
}

/// Suspends a user who is locked, or changes the settings of the suspension.
///
/// It ends all sessions of the user.
///
/// # Errors
/// Any error of the database.
pub async fn suspend(
    db: &Database,
    transaction: &DatabaseTransaction,
    user: &user::Model,
    suspension: &Suspension,
) -> Result<Suspended, DbErr> {
    let until = suspension.until.map(|until| until.trunc_subsecs(3));
    let is_same = user.is_suspended
        && user.suspended_until == until
        && user.suspension_reason.as_deref() == Some(&suspension.reason);
    if is_same {
        return Ok(Suspended::default());
    }
    let row = user::ActiveModel {
        id: Set(user.id),
        is_suspended: Set(true),
        suspended_until: Set(until),
        suspension_reason: Set(Some(suspension.reason.clone())),
        ..Default::default()
    };
    row.update(transaction).await?;
    let mut rows = 0;
    if !user.is_suspended {
        let posts = visibility::set_public(db, transaction, user.id, false).await?;
        rows = posts.rows;
        let suspended = Change { kind: Kind::Suspended, actor: user.id, object: user.id };
        posts.record(db, transaction, Some(suspended)).await?;
    }
    // After the posts: a write of the user locks its session last.
    let of_user = session::Column::UserId.eq(user.id);
    session::Entity::delete_many().filter(of_user).exec(transaction).await?;
    Ok(Suspended { changed: true, rows })
}

/// Ends the suspension of a user who is locked.
///
/// # Errors
/// Any error of the database.
pub async fn unsuspend(
    db: &Database,
    transaction: &DatabaseTransaction,
    user: &user::Model,
) -> Result<Suspended, DbErr> {
    if !user.is_suspended {
        return Ok(Suspended::default());
    }
    let row = user::ActiveModel {
        id: Set(user.id),
        is_suspended: Set(false),
        suspended_until: Set(None),
        suspension_reason: Set(None),
        ..Default::default()
    };
    row.update(transaction).await?;
    let posts = if user.is_protected {
        visibility::ChangedPosts::default()
    } else {
        visibility::set_public(db, transaction, user.id, true).await?
    };
    let unsuspended = Change { kind: Kind::Unsuspended, actor: user.id, object: user.id };
    let rows = posts.rows;
    posts.record(db, transaction, Some(unsuspended)).await?;
    Ok(Suspended { changed: true, rows })
}

/// Lets a locked user sign in, unless the user is suspended.
///
/// A suspension that is over ends. Returns the user as stored afterwards.
///
/// # Errors
/// [`Error::Expected`] with `Suspended`; any error of the database.
pub async fn admit(
    db: &Database,
    transaction: &DatabaseTransaction,
    user: user::Model,
) -> Result<user::Model, Error> {
    if !user.is_suspended {
        return Ok(user);
    }
    if !is_over(&user) {
        let reason = user.suspension_reason.as_deref().unwrap_or("no reason was given");
        let message = format!("This account is suspended: {reason}");
        return Err(UserErrorKind::Suspended { until: user.suspended_until }
            .at(&[], message)
            .into());
    }
    unsuspend(db, transaction, &user).await?;
    let (suspended_until, suspension_reason) = (None, None);
    Ok(user::Model { is_suspended: false, suspended_until, suspension_reason, ..user })
}

/// Whether the suspension of a user is over, and not ended yet.
fn is_over(user: &user::Model) -> bool {
    user.is_suspended && user.suspended_until.is_some_and(|until| until <= clock::now())
}

/// Ends at most 100 suspensions that are over. Returns whether there may be more.
///
/// Each is a transaction. Another instance may end the same suspensions at the same time.
///
/// # Errors
/// Any error of the database.
pub async fn end_expired(db: &Database) -> Result<bool, Error> {
    let until = user::Column::SuspendedUntil;
    let expired: Vec<i64> = {
        let snapshot = Snapshot::new(db);
        let query = user::Entity::find().select_only().column(user::Column::Id);
        let query = query.filter(until.lte(clock::now())).order_by_asc(until).limit(MAX_ENDED);
        query.into_tuple().all(&**snapshot.read(0).await?).await?
    };
    for id in &expired {
        let transaction = db.begin().await?;
        let query = user::Entity::find_for_update(user::Column::Id.eq(*id));
        let user = query.one(&transaction).await?;
        if let Some(user) = user.filter(is_over) {
            unsuspend(db, &transaction, &user).await?;
            transaction.commit().await?;
            db.notifier().notify();
        }
    }
    Ok(expired.len() as u64 == MAX_ENDED)
}
