//! Notifications: create, withdraw, list, count, mark as read and prune them.
//!
//! They inform users of what others do that concerns them.
//! `notify` and `withdraw` are parts of the writes that cause a notification or undo its cause.
//! They return the changes for the event of that write.
//!
//! Users get no notification of themselves, of users whom they block or who block them, of users
//! whom they mute with notifications, and of posts that they may not see. These rules apply when
//! the cause occurs: a mute hides no notification that exists, a block deletes those between both
//! users. The author of a post gets a notification of a reply, and none of a mention in it.
//!
//! The deletion of a post or of an account deletes its notifications without events.

mod reading;

use chrono::TimeDelta;
use entity::notification::{self, Kind};
use entity::{event, user};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr,
    EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _, Value,
};

use super::{Change, Services};
use crate::auth::Viewer;
use crate::clock;
use crate::database::{Database, Engine};
use crate::error::{Error, UserErrorKind};
use crate::ids::snowflake;

pub use reading::{MAX_CAP, MAX_TYPES, count_unread, kinds_sql, page, unread_sql};

/// Maximum number of notifications that one transaction prunes.
const MAX_PRUNED: u64 = 1_000;
/// Maximum number of notifications that one transaction of a block withdraws.
///
/// Each is a part of the transaction's event.
pub(super) const MAX_WITHDRAWN: usize = 1_000;

/// What a notification reports, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notice {
    /// The user who gets the notification.
    ///
    /// The user cannot be deleted until the end of the transaction.
    pub recipient: i64,
    pub kind: Kind,
    /// The user who caused it.
    pub actor: i64,
    /// The post that it is about; `None` for follows and requests.
    pub post: Option<i64>,
}

impl Notice {
    /// The notice of a new follow.
    pub fn of_follow(follower: i64, followed: i64) -> Self {
        Self { recipient: followed, kind: Kind::Follow, actor: follower, post: None }
    }

    /// The notice of a request to follow.
    pub fn of_request(requester: i64, target: i64) -> Self {
        Self { recipient: target, kind: Kind::FollowRequest, actor: requester, post: None }
    }

    /// The notice of an accepted request to follow.
    ///
    /// The user who accepts gets none of the follow.
    pub fn of_acceptance(requester: i64, target: i64) -> Self {
        Self { recipient: requester, kind: Kind::RequestAccepted, actor: target, post: None }
    }

    /// The notices that a follow may have caused, which its end withdraws.
    pub fn of_ended_follow(follower: i64, followed: i64) -> [Self; 2] {
        [Self::of_follow(follower, followed), Self::of_acceptance(follower, followed)]
    }
}

/// A notification that a statement has inserted or deleted.
#[derive(FromQueryResult)]
struct ChangedRow {
    id: i64,
    user_id: i64,
}

/// Adds the notifications of a write.
///
/// Those that the rules forbid or that exist are left out. It is one statement for all of them.
///
/// A transaction adds at most one notification of a recipient: an event of `notificationEvents` has
/// one. It may withdraw several.
///
/// # Errors
/// Any error of the database.
pub(super) async fn notify(
    services: &Services,
    transaction: &DatabaseTransaction,
    notices: &[Notice],
) -> Result<Vec<Change>, DbErr> {
    let is_visible = notification::visible_to_sql("notice", "notice.user_id");
    let mention = Kind::Mention.into_value();
    let notice = rows_sql(services.db.engine());
    let sql = format!(
        "INSERT INTO notification (id, user_id, kind, actor_id, post_id) \
         SELECT notice.id, notice.user_id, notice.kind, notice.actor_id, notice.post_id \
         FROM {notice} WHERE (SELECT 1 FROM block \
           WHERE blocker_id = notice.user_id AND blocked_id = notice.actor_id) IS NULL \
         AND (SELECT 1 FROM block \
           WHERE blocker_id = notice.actor_id AND blocked_id = notice.user_id) IS NULL \
         AND (SELECT 1 FROM mute WHERE muter_id = notice.user_id AND muted_id = notice.actor_id \
           AND hides_notifications AND (expires_at IS NULL OR expires_at > $2)) IS NULL \
         AND {is_visible} \
         AND (notice.kind <> {mention} OR (SELECT 1 FROM feed_item AS reply \
           WHERE reply.actor_id = notice.actor_id AND reply.id = notice.post_id \
           AND reply.subject_id = notice.user_id) IS NULL) \
         ON CONFLICT DO NOTHING RETURNING id, user_id"
    );
    let now = clock::now().into();
    change(services, transaction, (&sql, vec![now]), (event::Kind::Notified, notices)).await
}

/// Deletes the notifications of causes that a write undoes.
///
/// # Errors
/// Any error of the database.
pub(super) async fn withdraw(
    services: &Services,
    transaction: &DatabaseTransaction,
    notices: &[Notice],
) -> Result<Vec<Change>, DbErr> {
    let notice = rows_sql(services.db.engine());
    let sql = format!(
        "DELETE FROM notification WHERE id IN (SELECT old.id FROM {notice} \
           CROSS JOIN notification AS old \
           WHERE old.user_id = notice.user_id AND old.kind = notice.kind \
           AND old.actor_id = notice.actor_id \
           AND coalesce(old.post_id, 0) = coalesce(notice.post_id, 0)) \
         RETURNING id, user_id"
    );
    let kind = event::Kind::NotificationWithdrawn;
    change(services, transaction, (&sql, vec![]), (kind, notices)).await
}

/// Deletes notifications of two users of each other, at most [`MAX_WITHDRAWN`].
///
/// # Errors
/// Any error of the database.
pub(super) async fn withdraw_between(
    services: &Services,
    transaction: &DatabaseTransaction,
    (one, other): (i64, i64),
) -> Result<Vec<Change>, DbErr> {
    let sql = format!(
        "DELETE FROM notification WHERE id IN (SELECT id FROM notification \
           WHERE (actor_id = $1 AND user_id = $2) OR (actor_id = $2 AND user_id = $1) \
           LIMIT {MAX_WITHDRAWN}) RETURNING id, user_id"
    );
    let statement = services.db.statement(&sql, [one.into(), other.into()]);
    let rows = ChangedRow::find_by_statement(statement).all(transaction).await?;
    Ok(changes(event::Kind::NotificationWithdrawn, rows))
}

/// The notices bound to `$1`, as the table `notice`.
fn rows_sql(engine: Engine) -> String {
    let notices = engine.unnest_json("entry");
    format!(
        "(SELECT CAST(entry.value ->> 0 AS bigint) AS id, \
           CAST(entry.value ->> 1 AS bigint) AS user_id, \
           CAST(entry.value ->> 2 AS smallint) AS kind, \
           CAST(entry.value ->> 3 AS bigint) AS actor_id, \
           CAST(entry.value ->> 4 AS bigint) AS post_id FROM {notices}) AS notice"
    )
}

/// Executes a statement about notices, and returns its changes.
///
/// The notices are its first parameter. Users have no notifications of themselves.
async fn change(
    services: &Services,
    transaction: &DatabaseTransaction,
    (sql, further_values): (&str, Vec<Value>),
    (kind, notices): (event::Kind, &[Notice]),
) -> Result<Vec<Change>, DbErr> {
    let of_others = notices.iter().filter(|notice| notice.recipient != notice.actor);
    let rows: Vec<serde_json::Value> = of_others
        .map(|notice| {
            let Notice { recipient, kind, actor, post } = *notice;
            serde_json::json!([services.ids.next(), recipient, kind.into_value(), actor, post])
        })
        .collect();
    if rows.is_empty() {
        return Ok(vec![]);
    }
    let rows: Value = serde_json::Value::from(rows).to_string().into();
    let values = std::iter::once(rows).chain(further_values);
    let statement = services.db.statement(sql, values);
    let rows = ChangedRow::find_by_statement(statement).all(transaction).await?;
    Ok(changes(kind, rows))
}

fn changes(kind: event::Kind, rows: Vec<ChangedRow>) -> Vec<Change> {
    let change = |row: ChangedRow| Change { kind, actor: row.user_id, object: row.id };
    rows.into_iter().map(change).collect()
}

/// Marks the viewer's notifications as read, up to and with one of them, or all.
///
/// Returns whether further notifications are read now. A notification never becomes unread again.
///
/// On PostgreSQL writers assign ids concurrently, some milliseconds before their commits. A
/// notification that is committed after the client has read its list can therefore have a smaller
/// id than one of the list. It becomes read with that one. To order the ids by the commits, each
/// like, reply and mention would have to lock the recipient, so that all reactions to the posts of
/// a popular author would wait for each other. Subscribers receive such a notification in any case.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` when the viewer has no such notification;
/// [`Error::Unauthenticated`] when the account was deleted; any error of the database.
pub async fn mark_read(
    services: &Services,
    viewer: &Viewer,
    up_to: Option<i64>,
) -> Result<bool, Error> {
    let transaction = services.db.begin().await?;
    let user = user::Entity::find_for_update(user::Column::Id.eq(viewer.id()));
    let user = user.one(&transaction).await?.ok_or_else(Error::account_changed)?;
    let own = notification::Entity::find().filter(notification::Column::UserId.eq(viewer.id()));
    let last = match up_to {
        Some(id) => own.filter(notification::Column::Id.eq(id)),
        None => own.order_by_desc(notification::Column::Id),
    };
    let last = last.one(&transaction).await?.map(|last| last.id);
    if up_to.is_some() && last.is_none() {
        let message = "There is no such notification.";
        return Err(UserErrorKind::NotFound.at(&["upTo"], message).into());
    }
    let Some(last) = last.filter(|last| *last > user.notifications_read_id) else {
        return Ok(false);
    };
    user::Entity::update_many()
        .col_expr(user::Column::NotificationsReadId, Expr::value(last))
        .filter(user::Column::Id.eq(viewer.id()))
        .exec(&transaction)
        .await?;
    let kind = event::Kind::NotificationsRead;
    services.record_event(&transaction, kind, viewer.id(), last).await?;
    services.commit(transaction, viewer).await?;
    Ok(true)
}

/// Deletes a batch of notifications that are older than `retention`.
///
/// Returns whether there may be more of them. It records no event: old entries of a list disappear.
/// A notification that another transaction deletes is left out, so that neither waits for the
/// other.
///
/// # Errors
/// Any error of the database.
pub async fn prune(db: &Database, retention: TimeDelta) -> Result<bool, Error> {
    let oldest = snowflake::first_id_at(clock::now() - retention);
    let transaction = db.begin().await?;
    let sql = format!(
        "DELETE FROM notification WHERE id IN ( \
           SELECT id FROM notification WHERE id < $1 ORDER BY id LIMIT {MAX_PRUNED} {})",
        db.engine().lock_sql("FOR UPDATE SKIP LOCKED")
    );
    let pruned = transaction.execute_raw(db.statement(&sql, [oldest.into()])).await?;
    transaction.commit().await?;
    Ok(pruned.rows_affected() == MAX_PRUNED)
}
