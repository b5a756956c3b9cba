//! The viewer's notifications, and their live events.

use cynic::{Enum, Id, InlineFragments, QueryFragment, QueryVariables};

use super::{Author, Post, StreamLagged, UserError, schema};

#[derive(QueryFragment)]
#[cynic(graphql_type = "Query")]
pub struct Inbox {
    pub viewer: Option<InboxViewer>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Viewer")]
pub struct InboxViewer {
    pub unread_notifications_count: i32,
    #[arguments(first: 20)]
    pub notifications: NotificationConnection,
}

#[derive(QueryFragment)]
pub struct NotificationConnection {
    pub stream_cursor: String,
    pub nodes: Vec<Notification>,
}

#[derive(QueryFragment, Debug, PartialEq)]
pub struct Notification {
    pub id: Id,
    #[cynic(rename = "type")]
    pub kind: NotificationType,
    pub is_read: bool,
    pub actor: Author,
    /// `None` for follows and requests to follow.
    pub post: Option<Post>,
}

#[derive(Enum, Clone, Copy, Debug, PartialEq)]
pub enum NotificationType {
    Follow,
    FollowRequest,
    RequestAccepted,
    Like,
    Reply,
    Repost,
    Mention,
}

// markNotificationsRead

#[derive(QueryVariables)]
pub struct MarkNotificationsReadVariables {
    /// The newest notification to mark. `None` marks all.
    pub up_to: Option<Id>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "MarkNotificationsReadVariables")]
pub struct MarkNotificationsRead {
    #[arguments(upTo: $up_to)]
    pub mark_notifications_read: MarkNotificationsReadPayload,
}

#[derive(QueryFragment)]
pub struct MarkNotificationsReadPayload {
    pub changed: bool,
    pub user_errors: Vec<UserError>,
}

// The notifications, live

#[derive(QueryVariables)]
pub struct NotificationEventsVariables {
    pub after: Option<String>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Subscription", variables = "NotificationEventsVariables")]
pub struct NotificationEvents {
    #[arguments(after: $after)]
    pub notification_events: NotificationEvent,
}

/// All events of the schema, and a fallback for events of a newer server.
#[derive(InlineFragments, Debug)]
#[cynic(exhaustive)]
pub enum NotificationEvent {
    NotificationAdded(NotificationAdded),
    NotificationRemoved(NotificationRemoved),
    NotificationsRead(NotificationsRead),
    StreamLagged(StreamLagged),
    #[cynic(fallback)]
    Unknown(String),
}

#[derive(QueryFragment, Debug)]
pub struct NotificationAdded {
    pub cursor: String,
    pub notification: Notification,
    /// Ids of the notifications that it replaces.
    pub removed_ids: Vec<Id>,
    pub unread_count: i32,
}

#[derive(QueryFragment, Debug)]
pub struct NotificationRemoved {
    pub cursor: String,
    pub removed_ids: Vec<Id>,
    pub unread_count: i32,
}

#[derive(QueryFragment, Debug)]
pub struct NotificationsRead {
    pub cursor: String,
    /// The newest notification that is read. All older ones are read, too.
    pub up_to: Id,
    pub unread_count: i32,
}
