//! The events of `notificationEvents`.
//!
//! docs/live.md says when each occurs.

use async_graphql::{ComplexObject, Context, ID, SimpleObject, Union};
use entity::event::Kind;
use entity::notification;

use super::notification::Notification;
use super::scalar::DateTime;
use super::stream_event::{StreamLagged, stream_cursor};
use super::{loaders, viewer};
use crate::domain;
use crate::error::Error;
use crate::events::{DeliveredEvent, StreamItem};
use crate::ids::GlobalId;

/// An event of `notificationEvents`.
#[derive(Union)]
pub enum NotificationEvent {
    Added(NotificationAdded),
    Removed(NotificationRemoved),
    Read(NotificationsRead),
    Lagged(StreamLagged),
}

/// The viewer has a new notification.
///
/// Not sent if it was withdrawn, or its post deleted or hidden from the viewer, before delivery.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct NotificationAdded {
    /// Cursor for `notificationEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    /// The new notification. Notifications are ordered by `createdAt`, newest first.
    notification: Notification,
    /// Ids of notifications that it replaces.
    ///
    /// A `FOLLOW` replaces the `FOLLOW_REQUEST` of its actor. Otherwise the list is empty.
    removed_ids: Vec<ID>,
}

#[ComplexObject]
impl NotificationAdded {
    /// Number of unread notifications at the time of delivery. Counting stops at `cap`.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    async fn unread_count(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100, desc = "Maximum of the count: 1 to 1000.")] cap: i32,
    ) -> Result<i32, Error> {
        unread_count(ctx, cap).await
    }
}

/// Notifications of the viewer were withdrawn, because their cause was undone.
///
/// A block withdraws all notifications between both users. Not sent for notifications that are gone
/// because of their age, or because a post or an account was deleted.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct NotificationRemoved {
    /// Cursor for `notificationEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    /// Ids of the withdrawn notifications, newest first.
    removed_ids: Vec<ID>,
}

#[ComplexObject]
impl NotificationRemoved {
    /// Number of unread notifications at the time of delivery. Counting stops at `cap`.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    async fn unread_count(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100, desc = "Maximum of the count: 1 to 1000.")] cap: i32,
    ) -> Result<i32, Error> {
        unread_count(ctx, cap).await
    }
}

/// The viewer has marked notifications as read, on this or another device.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct NotificationsRead {
    /// Cursor for `notificationEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    /// The id of the newest notification that is read. All older ones are read, too.
    up_to: ID,
}

#[ComplexObject]
impl NotificationsRead {
    /// Number of unread notifications at the time of delivery. Counting stops at `cap`.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    async fn unread_count(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100, desc = "Maximum of the count: 1 to 1000.")] cap: i32,
    ) -> Result<i32, Error> {
        unread_count(ctx, cap).await
    }
}

async fn unread_count(ctx: &Context<'_>, cap: i32) -> Result<i32, Error> {
    let viewer = viewer(ctx)?;
    domain::notification::count_unread(&loaders(ctx).snapshot, &viewer, cap).await
}

/// The item as an event of its recipient.
///
/// `None` if its notification is gone or hidden, and it withdraws no other.
pub fn notification_event(item: &StreamItem, is_hidden: bool) -> Option<NotificationEvent> {
    let delivered = match item {
        StreamItem::Event(delivered) => delivered,
        StreamItem::Lagged { missed, resume_after } => {
            let lagged = StreamLagged::new(*missed, resume_after.as_ref());
            return Some(NotificationEvent::Lagged(lagged));
        }
    };
    let DeliveredEvent { event, position, post, notification, .. } = &**delivered;
    let (cursor, occurred_at) = (stream_cursor(position), DateTime(event.at));
    if event.kind == Kind::NotificationsRead {
        let up_to = id(event.object);
        return Some(NotificationEvent::Read(NotificationsRead { cursor, occurred_at, up_to }));
    }
    let removed = event.with_parts().filter(|part| part.kind == Kind::NotificationWithdrawn);
    let removed_ids: Vec<ID> = removed.map(|part| id(part.object)).collect();
    let is_shown =
        |row: &&notification::Model| !is_hidden && row.post_id.is_some() == post.is_some();
    if let Some(row) = notification.as_ref().filter(is_shown) {
        let notification = Notification(row.clone());
        let added = NotificationAdded { cursor, occurred_at, notification, removed_ids };
        return Some(NotificationEvent::Added(added));
    }
    let removed = NotificationRemoved { cursor, occurred_at, removed_ids };
    (!removed.removed_ids.is_empty()).then_some(NotificationEvent::Removed(removed))
}

fn id(notification: i64) -> ID {
    GlobalId::Notification(notification).encode().into()
}
