//! The table of events, a transactional outbox for subscriptions.
//!
//! A transaction that changes posts or relationships, or deletes an account, inserts the event
//! itself. An event therefore exists exactly if its change was committed. It has the id of the
//! transaction, which writes at most one event. Further changes are parts of the event, in the
//! table `event_part` or, for many changes by the same actor, in the column `changes`.

use sea_orm::Iterable as _;
use sea_orm::entity::prelude::*;

/// A row of the table `event`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// The id of the transaction.
    ///
    /// On PostgreSQL it is `pg_current_xact_id()`, and transactions are not committed in this
    /// order. On SQLite it is the next rowid.
    #[sea_orm(primary_key, auto_increment = false)]
    pub txn: i64,
    /// What happened.
    pub kind: Kind,
    /// The id of the user who made the change; 0 if there is none.
    pub actor: i64,
    /// The id of the post or of the other user concerned; 0 if there is neither.
    pub object: i64,
    /// The time of the event.
    pub at: DateTimeUtc,
    /// The parts of the event. In the table, those of a [`Kind::Several`] only.
    #[sea_orm(column_type = "Text", nullable)]
    pub changes: Option<String>,
}

impl Model {
    /// The parts of the event, as events of their own with the same transaction.
    ///
    /// Parts of kinds that this version does not know are left out.
    pub fn parts(&self) -> impl Iterator<Item = Self> {
        let changes = self.changes.as_deref().unwrap_or_default().split_ascii_whitespace();
        changes.filter_map(|change| {
            let mut numbers = change.split(':');
            let kind = Kind::try_from_value(&numbers.next()?.parse().ok()?).ok()?;
            let object = numbers.next()?.parse().ok()?;
            let actor = numbers.next().map_or(Some(self.actor), |actor| actor.parse().ok())?;
            Some(Self { kind, actor, object, changes: None, ..*self })
        })
    }
}

impl Model {
    /// The event and its parts, in this order.
    ///
    /// The parts of a [`Kind::Several`] belong to it and are left out.
    pub fn with_parts(&self) -> impl Iterator<Item = Self> {
        let parts = self.parts().filter(|_| self.kind != Kind::Several);
        std::iter::once(self.clone()).chain(parts)
    }

    /// Number of rows that were read for the event: its own, and one for each part.
    #[must_use]
    pub fn rows(&self) -> usize {
        let changes = self.changes.as_deref().unwrap_or_default();
        1 + changes.split_ascii_whitespace().count()
    }
}

/// Changes by the actor of an event, as the column `changes` has them.
///
/// Each is the number of its kind, a colon, and the id of its object. A part of the table
/// `event_part` is added with a colon and its own actor when the event is read.
#[must_use]
pub fn changes(changes: impl Iterator<Item = (Kind, i64)>) -> String {
    let text = |(kind, object): (Kind, i64)| format!("{}:{object}", kind.into_value());
    changes.map(text).collect::<Vec<_>>().join(" ")
}

/// What an event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    /// The start of the table, inserted when the table is created or reset.
    LogStarted = 0,
    /// The actor added the post `object`.
    PostAdded = 1,
    /// The actor edited the post `object`.
    PostUpdated = 2,
    /// The actor deleted the post `object`.
    PostRemoved = 3,
    /// The actor followed the user `object`.
    Followed = 4,
    /// The actor unfollowed the user `object`.
    Unfollowed = 5,
    /// The actor blocked the user `object`, which ended all follows between them.
    Blocked = 6,
    /// The actor unblocked the user `object`.
    Unblocked = 7,
    /// The actor muted the user `object`, or changed the settings of the mute.
    Muted = 8,
    /// The actor's mute of the user `object` ended.
    Unmuted = 9,
    /// The actor asked to follow the user `object`.
    FollowRequested = 10,
    /// A request between the actor and the user `object` was withdrawn or rejected.
    FollowRequestEnded = 11,
    /// The actor made several changes in one transaction, which the event lists.
    Several = 12,
    /// A count of the post `object` of the actor changed.
    PostCounted = 13,
    /// The actor reposted a post, as the feed item `object`.
    Reposted = 14,
    /// The actor's repost of the post `object` ended.
    Unreposted = 15,
    /// The actor's reposts of posts of the user `object` are hidden or shown again.
    ///
    /// With the actor as `object`: many posts or reposts of the actor were deleted.
    RepostsHidden = 16,
    /// The actor received the notification `object`.
    ///
    /// It is a part of the event that caused the notification.
    Notified = 20,
    /// The notification `object` of the actor was withdrawn, as a part of an event.
    ///
    /// The event itself is of this kind in a step of a block, and repeats its first part.
    NotificationWithdrawn = 21,
    /// The actor has read all notifications up to and with `object`.
    NotificationsRead = 22,
    /// The actor's account was deleted, with all its posts and follows.
    ///
    /// This kind and all later ones concern every timeline: replays read them by an index of their
    /// own. A kind that does not has a smaller number.
    UserRemoved = 100,
    /// A command changed many rows, which have no events of their own.
    ManyChanged = 101,
    /// Reposts of posts of the actor by many users are hidden or shown again.
    ///
    /// A [`Kind::RepostsHidden`] of each of these users would be too many parts.
    ManyRepostsHidden = 102,
}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts an event. The parameters are kind, actor, object and time.
pub const INSERT: &str = "INSERT INTO event (kind, actor, object, at) VALUES ($1, $2, $3, $4)";

/// Inserts an event with a list of changes.
///
/// The parameters are those of [`INSERT`], and the list.
pub const INSERT_CHANGES: &str =
    "INSERT INTO event (kind, actor, object, at, changes) VALUES ($1, $2, $3, $4, $5)";

/// The columns of the table or the query `event`, as a select list.
///
/// A kind that this version does not know may have changed anything, so it is read as
/// [`Kind::ManyChanged`], which makes subscribers read their pages again. A replay finds such an
/// event of a user whom the timeline does not show only if its number is at least 100.
#[must_use]
pub fn columns_sql() -> String {
    let known = Kind::iter().map(|kind| kind.into_value().to_string()).collect::<Vec<_>>();
    let (known, unknown) = (known.join(", "), Kind::ManyChanged.into_value());
    let kind = format!("CASE WHEN kind IN ({known}) THEN kind ELSE {unknown} END");
    format!(
        "txn, CAST({kind} AS smallint) AS kind, actor, object, at, \
         coalesce(changes || ' ', '') || coalesce(({PARTS}), '') AS changes"
    )
}

/// The parts of an event in the table `event_part`.
const PARTS: &str = "SELECT string_agg(part.kind || ':' || part.object || ':' || part.actor, ' ') \
    FROM event_part AS part WHERE part.txn = event.txn";
