//! The events of `timelineEvents`.
//!
//! docs/live.md says when each occurs.

use async_graphql::{ComplexObject, Context, ID, SimpleObject, Union};
use entity::event::Kind;

use super::event_source::other_user;
use super::loaders;
use super::post::Post;
use super::scalar::DateTime;
use super::stream_event::{StreamLagged, stream_cursor};
use super::timeline::TimelineEdge;
use super::user::User;
use crate::error::Error;
use crate::events::{DeliveredEvent, StreamItem};
use crate::ids::GlobalId;
use crate::pagination::CursorKind;

/// An event of `timelineEvents`.
#[derive(Union)]
pub enum TimelineEvent {
    Added(TimelinePostAdded),
    Updated(TimelinePostUpdated),
    Removed(TimelinePostRemoved),
    RepostRemoved(TimelineRepostRemoved),
    Reset(TimelineReset),
    Lagged(StreamLagged),
}

/// A post or a repost was added to the timeline.
///
/// Not sent if the post was deleted, or hidden from the viewer, before delivery.
#[derive(SimpleObject)]
pub struct TimelinePostAdded {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    /// The new entry, which its `cursor` identifies.
    ///
    /// Timelines are ordered by `repostedAt`, or `createdAt` without it, newest first.
    edge: TimelineEdge,
}

/// A post in the timeline was edited, or one of its counts changed.
///
/// Changes of counts are merged into one event a second for each post.
///
/// Not sent if the post was deleted, or hidden from the viewer, before delivery.
#[derive(SimpleObject)]
pub struct TimelinePostUpdated {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    /// The post at the time of delivery. It can contain later edits.
    post: Post,
}

/// A post in the timeline was deleted.
#[derive(SimpleObject)]
pub struct TimelinePostRemoved {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    /// The id of the deleted post.
    post_id: ID,
}

/// A repost in the timeline ended: it was withdrawn, or its post was deleted.
///
/// The entry of this repost is gone. Other entries of the same post are not. Also sent if the
/// timeline did not show the repost.
#[derive(SimpleObject)]
pub struct TimelineRepostRemoved {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    /// The id of the post.
    post_id: ID,
    /// The id of the user who had reposted it.
    reposted_by_id: ID,
}

/// The set of posts in the timeline changed, older posts included.
///
/// The client must read the timeline again.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct TimelineReset {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    pub cursor: String,
    /// When the event occurred.
    pub occurred_at: DateTime,
    #[graphql(skip)]
    user: Option<i64>,
}

#[ComplexObject]
impl TimelineReset {
    /// The other user of the follow, unfollow, block or mute.
    ///
    /// Null after `followMany`, if an author of reposted posts changed `isProtected`, if an account
    /// was deleted, if a command of the operator changed the data, or if the user no longer exists.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let Some(user) = self.user else { return Ok(None) };
        Ok(loaders(ctx).users.load(user).await?.map(User::from))
    }
}

/// The item as an event of the timeline of `owner`.
///
/// `None` if its post was deleted since, or if it is `Kind::LogStarted`.
pub fn timeline_event(owner: i64, item: StreamItem) -> Option<TimelineEvent> {
    let delivered = match item {
        StreamItem::Event(delivered) => delivered,
        StreamItem::Lagged { missed, resume_after } => {
            let lagged = StreamLagged::new(missed, resume_after.as_ref());
            return Some(TimelineEvent::Lagged(lagged));
        }
    };
    let DeliveredEvent { event, position, post, .. } = &*delivered;
    let (cursor, occurred_at) = (stream_cursor(position), DateTime(event.at));
    Some(match event.kind {
        Kind::LogStarted
        | Kind::Notified
        | Kind::NotificationWithdrawn
        | Kind::NotificationsRead => return None,
        Kind::PostAdded | Kind::Reposted => {
            let edge = TimelineEdge::new(owner, post.as_ref()?, CursorKind::Timeline.into());
            TimelineEvent::Added(TimelinePostAdded { cursor, occurred_at, edge })
        }
        Kind::PostUpdated | Kind::PostCounted => {
            let post = Post::from(post.as_ref()?);
            TimelineEvent::Updated(TimelinePostUpdated { cursor, occurred_at, post })
        }
        Kind::PostRemoved => {
            let post_id = GlobalId::Post(event.object).encode().into();
            TimelineEvent::Removed(TimelinePostRemoved { cursor, occurred_at, post_id })
        }
        Kind::Followed
        | Kind::Unfollowed
        | Kind::Blocked
        | Kind::Unblocked
        | Kind::Muted
        | Kind::Unmuted
        | Kind::FollowRequested
        | Kind::FollowRequestEnded => {
            let user = Some(other_user(event, owner));
            TimelineEvent::Reset(TimelineReset { cursor, occurred_at, user })
        }
        Kind::Unreposted => {
            let post_id = GlobalId::Post(event.object).encode().into();
            let reposted_by_id = GlobalId::User(event.actor).encode().into();
            let removed = TimelineRepostRemoved { cursor, occurred_at, post_id, reposted_by_id };
            TimelineEvent::RepostRemoved(removed)
        }
        Kind::RepostsHidden
        | Kind::Several
        | Kind::UserRemoved
        | Kind::ManyChanged
        | Kind::ManyRepostsHidden => {
            TimelineEvent::Reset(TimelineReset { cursor, occurred_at, user: None })
        }
    })
}
