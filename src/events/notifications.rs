//! Changes of notifications: their subscribers, and the rows that these need.
//!
//! A transaction may change several notifications of a user: a block withdraws many, and a follow
//! replaces a request. The subscriber receives them as one event, because a position is between
//! transactions: a client that resumed between two events of one transaction would lose the second.
//! No write adds two notifications of a user (`crate::domain`), so an event has at most one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use entity::event::{self, Kind};
use entity::notification;
use sea_orm::ActiveEnum as _;

use super::delivery::deliver;
use super::hub::open_sessions;
use super::registry::SubscriptionRegistry;
use super::{DeliveredEvent, EventHub, Users};
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;
use crate::loaders::{TimelineRow, notifications, timeline_rows, users};

/// The changes of notifications that an event reports, one for each recipient.
///
/// A change is an event of its recipient with the same transaction. It is [`Kind::Notified`] with
/// the withdrawn notifications as its parts, or [`Kind::NotificationWithdrawn`] with further ones
/// as its parts, or [`Kind::NotificationsRead`].
fn changes_of(event: &event::Model) -> Vec<event::Model> {
    if event.kind == Kind::NotificationsRead {
        return vec![event.clone()];
    }
    merge(event.parts())
}

/// Merges the changes of each transaction and recipient.
///
/// They are in the order of the transactions. Other events are left out.
pub fn merge(changes: impl IntoIterator<Item = event::Model>) -> Vec<event::Model> {
    let mut merged: BTreeMap<(i64, i64), Vec<event::Model>> = BTreeMap::new();
    for change in changes {
        use Kind::{NotificationWithdrawn, NotificationsRead, Notified};
        if matches!(change.kind, Notified | NotificationWithdrawn | NotificationsRead) {
            merged.entry((change.txn, change.actor)).or_default().push(change);
        }
    }
    let merge = |mut changes: Vec<event::Model>| {
        // The added notification comes first, then the withdrawn ones, the newest first.
        changes.sort_unstable_by_key(|change| (change.kind.into_value(), Reverse(change.object)));
        let mut changes = changes.into_iter();
        let first = changes.next()?;
        let parts = event::changes(changes.map(|change| (change.kind, change.object)));
        Some(event::Model { changes: Some(parts), ..first })
    };
    merged.into_values().filter_map(merge).collect()
}

/// The rows that the subscribers of notifications need.
#[derive(Default)]
pub struct NotificationRows {
    notifications: HashMap<i64, notification::Model>,
    /// The posts of the notifications, by id.
    posts: HashMap<i64, TimelineRow>,
    /// The recipients and the actors of the notifications.
    users: Arc<Users>,
}

impl NotificationRows {
    /// Loads the notifications that were added, with a statement for each table.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn load(snapshot: &Snapshot, changes: &[event::Model]) -> Result<Self, Error> {
        let added = changes.iter().filter(|change| change.kind == Kind::Notified);
        let added: Vec<i64> = added.map(|change| change.object).collect();
        let notifications = notifications(snapshot, &added).await?;
        // The feed item of a post has the id of the post.
        let posts: HashSet<i64> = notifications.values().filter_map(|row| row.post_id).collect();
        let posts = timeline_rows(snapshot, &Vec::from_iter(posts)).await?;
        let ids: HashSet<i64> =
            notifications.values().flat_map(|row| [row.user_id, row.actor_id]).collect();
        let users = Arc::new(users(snapshot, &Vec::from_iter(ids)).await?);
        Ok(Self { notifications, posts, users })
    }

    /// A change with its rows.
    pub fn delivered(&self, event: event::Model, position: StreamPosition) -> DeliveredEvent {
        let added = self.notifications.get(&event.object);
        let notification = added.filter(|_| event.kind == Kind::Notified).cloned();
        let post = notification.as_ref().and_then(|row| self.posts.get(&row.post_id?)).cloned();
        let users = Arc::clone(&self.users);
        DeliveredEvent { event, position, post, notification, users }
    }
}

/// The changes of a batch of events that have subscribers.
#[derive(Default)]
pub struct NotificationBatch {
    changes: Vec<event::Model>,
    rows: NotificationRows,
    /// The sessions of the subscribers that have not ended.
    open: HashSet<i64>,
}

impl EventHub {
    /// Loads the changes of notifications in a batch of events.
    ///
    /// The number of statements does not depend on the number of subscribers. There are none if no
    /// change has a subscriber.
    pub(super) async fn load_notifications(
        &self,
        snapshot: &Snapshot,
        events: &[event::Model],
    ) -> Result<NotificationBatch, Error> {
        let (changes, sessions) = {
            let registry = self.registry();
            if registry.notification_subscribers.is_empty() {
                return Ok(NotificationBatch::default());
            }
            let has_subscriber = |change: &event::Model| {
                registry.notification_subscribers.contains_key(&change.actor)
            };
            let changes: Vec<event::Model> =
                events.iter().flat_map(changes_of).filter(has_subscriber).collect();
            let subscribers = changes
                .iter()
                .flat_map(|change| registry.subscribers_of_notifications(change.actor));
            let sessions: HashSet<i64> =
                subscribers.filter_map(|id| registry.subscribers.get(&id)?.session).collect();
            (changes, sessions)
        };
        let rows = NotificationRows::load(snapshot, &changes).await?;
        let open = open_sessions(snapshot, &sessions).await?;
        Ok(NotificationBatch { changes, rows, open })
    }
}

impl NotificationBatch {
    /// Sends the changes to their subscribers. The batch is between two positions.
    pub fn deliver(
        self,
        registry: &mut SubscriptionRegistry,
        start: &StreamPosition,
        end: &StreamPosition,
    ) {
        let Self { changes, rows, open } = self;
        for change in changes {
            let to: Vec<u64> = registry.subscribers_of_notifications(change.actor).collect();
            let position = start.advance_to((&change).into(), end);
            deliver(registry, rows.delivered(change, position), to, &open);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn event(kind: Kind, actor: i64, object: i64, changes: &str) -> event::Model {
        let changes = Some(changes.to_owned());
        event::Model { txn: 1, kind, actor, object, at: Utc::now(), changes }
    }

    /// The changes of an event: the recipient, the kind, and all notifications of each.
    fn changes(event: &event::Model) -> Vec<(i64, Kind, Vec<i64>)> {
        let objects = |change: &event::Model| change.with_parts().map(|part| part.object).collect();
        let changes = changes_of(event);
        changes.iter().map(|change| (change.actor, change.kind, objects(change))).collect()
    }

    #[test]
    fn changes_of_a_recipient_in_one_transaction_are_merged() {
        // Like the follow of a user who was asked before. It also counts a post.
        let followed = event(Kind::Followed, 5, 7, "21:30:7 13:9:7 20:31:7 20:32:8");
        let expected = [(7, Kind::Notified, vec![31, 30]), (8, Kind::Notified, vec![32])];
        assert_eq!(changes(&followed), expected);
        let blocked = event(Kind::Blocked, 5, 7, "21:30:7 21:33:7 21:31:5 21:32:7");
        let withdrawn = Kind::NotificationWithdrawn;
        assert_eq!(changes(&blocked), [(5, withdrawn, vec![31]), (7, withdrawn, vec![33, 32, 30])]);
    }

    #[test]
    fn parts_of_an_event_with_several_changes_are_found() {
        let several = event(Kind::Several, 5, 0, "4:7 4:8 20:31:7 20:32:8");
        let expected = [(7, Kind::Notified, vec![31]), (8, Kind::Notified, vec![32])];
        assert_eq!(changes(&several), expected);
    }

    #[test]
    fn other_events_change_no_notifications() {
        assert!(changes(&event(Kind::PostAdded, 5, 9, "13:4:7")).is_empty());
        let read = event(Kind::NotificationsRead, 7, 31, "");
        assert_eq!(changes(&read), [(7, Kind::NotificationsRead, vec![31])]);
    }
}
