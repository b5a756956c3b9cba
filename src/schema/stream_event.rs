//! Common parts of resumable streams: cursors, and the event that ends a stream.

use async_graphql::{Interface, SimpleObject};

use super::notification_event::{NotificationAdded, NotificationRemoved, NotificationsRead};
use super::scalar::DateTime;
use super::timeline_event::{
    TimelinePostAdded, TimelinePostRemoved, TimelinePostUpdated, TimelineRepostRemoved,
    TimelineReset,
};
use crate::clock;
use crate::database::StreamPosition;
use crate::pagination::{CursorKind, encode_cursor_bytes};

/// The cursor of a stream position, for `after` of a resumable subscription.
pub fn stream_cursor(position: &StreamPosition) -> String {
    encode_cursor_bytes(CursorKind::Stream, &position.to_bytes())
}

/// An event of a resumable stream.
#[derive(Interface)]
#[graphql(
    field(
        name = "cursor",
        ty = "&String",
        desc = "Cursor for `after` of the same subscription that resumes after this event."
    ),
    field(name = "occurred_at", ty = "&DateTime", desc = "When the event occurred.")
)]
pub enum StreamEvent {
    Added(TimelinePostAdded),
    Updated(TimelinePostUpdated),
    Removed(TimelinePostRemoved),
    RepostRemoved(TimelineRepostRemoved),
    Reset(TimelineReset),
    NotificationAdded(NotificationAdded),
    NotificationRemoved(NotificationRemoved),
    NotificationsRead(NotificationsRead),
    Lagged(StreamLagged),
}

/// Sent when the client fell behind, resumed too late or reached its rate limit.
///
/// Also sent when the fields of an event could not be read because the server was overloaded. The
/// stream ends after it.
#[derive(SimpleObject)]
pub struct StreamLagged {
    /// The same as `resumeAfter`. Empty if that is null.
    cursor: String,
    /// When the stream ended.
    occurred_at: DateTime,
    /// Number of events dropped because the client read too slowly. Null if unknown.
    missed: Option<i32>,
    /// Cursor for `after` of the same subscription that resumes without a gap.
    ///
    /// Null if the missed events are no longer available, or too many to replay. The client must
    /// then read the timeline or the notifications again and subscribe with their `streamCursor`.
    resume_after: Option<String>,
}

impl StreamLagged {
    pub fn new(missed: Option<u64>, resume_after: Option<&StreamPosition>) -> Self {
        let resume_after = resume_after.map(stream_cursor);
        Self {
            cursor: resume_after.clone().unwrap_or_default(),
            occurred_at: DateTime(clock::now()),
            missed: missed.map(|missed| i32::try_from(missed).unwrap_or(i32::MAX)),
            resume_after,
        }
    }
}
