//! GraphQL subscriptions: timeline events, relationship events and follow counts.
//!
//! A subscription is executed once to start, and again for each event of its [`EventStream`]. In
//! between it holds its [`EventSource`] only: no database connection, no document and no response.
//! `timelineEvents` can be resumed by the cursor of an event; docs/live.md has the rules.

use async_graphql::{ComplexObject, Context, ID, Interface, SimpleObject, Subscription, Union};
use entity::event::Kind;
use futures_util::stream::{self, Stream};

use super::event_source::{EventSource, Filter, follow_counts_of, other_user};
use super::post::Post;
use super::relationship::Relationship;
use super::scalar::DateTime;
use super::timeline::TimelineEdge;
use super::user::User;
use super::{events, loaders, request, viewer};
use crate::clock;
use crate::database::StreamPosition;
use crate::error::Error;
use crate::events::{DeliveredEvent, EventStream, StreamItem};
use crate::ids::GlobalId;
use crate::pagination::{CursorKind, decode_cursor_bytes, encode_cursor_bytes};

/// Maximum number of `userIds` of `relationshipEvents`.
const MAX_USERS: usize = 100;

/// The cursor of a stream position, for `timelineEvents(after:)`.
pub fn stream_cursor(position: &StreamPosition) -> String {
    encode_cursor_bytes(CursorKind::Stream, &position.to_bytes())
}

/// An event of a resumable stream.
#[derive(Interface)]
#[graphql(
    field(
        name = "cursor",
        ty = "&String",
        desc = "Cursor for `timelineEvents(after:)` that resumes after this event."
    ),
    field(name = "occurred_at", ty = "&DateTime", desc = "When the event occurred.")
)]
pub enum StreamEvent {
    Added(TimelinePostAdded),
    Updated(TimelinePostUpdated),
    Removed(TimelinePostRemoved),
    Reset(TimelineReset),
    Lagged(StreamLagged),
}

/// An event of `timelineEvents`.
#[derive(Union)]
pub enum TimelineEvent {
    Added(TimelinePostAdded),
    Updated(TimelinePostUpdated),
    Removed(TimelinePostRemoved),
    Reset(TimelineReset),
    Lagged(StreamLagged),
}

/// A post was added to the timeline.
///
/// Not sent if the post was deleted, or hidden from the viewer, before delivery.
#[derive(SimpleObject)]
pub struct TimelinePostAdded {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    cursor: String,
    /// When the event occurred.
    occurred_at: DateTime,
    /// The new entry. Timelines are ordered by `createdAt`, newest first.
    edge: TimelineEdge,
}

/// A post in the timeline was edited.
///
/// Not sent if the post was deleted, or hidden from the viewer, before delivery.
#[derive(SimpleObject)]
pub struct TimelinePostUpdated {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    cursor: String,
    /// When the event occurred.
    occurred_at: DateTime,
    /// The post at the time of delivery. It can contain later edits.
    post: Post,
}

/// A post in the timeline was deleted.
#[derive(SimpleObject)]
pub struct TimelinePostRemoved {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    cursor: String,
    /// When the event occurred.
    occurred_at: DateTime,
    /// The id of the deleted post.
    post_id: ID,
}

/// The set of posts in the timeline changed, older posts included.
///
/// The client must read the timeline again.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct TimelineReset {
    /// Cursor for `timelineEvents(after:)` that resumes after this event.
    cursor: String,
    /// When the event occurred.
    occurred_at: DateTime,
    #[graphql(skip)]
    user: Option<i64>,
}

#[ComplexObject]
impl TimelineReset {
    /// The other user of the follow, unfollow, block or mute.
    ///
    /// Null after `followMany`, if an account was deleted, if a command of the operator changed the
    /// data, or if the user no longer exists.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let Some(user) = self.user else { return Ok(None) };
        Ok(loaders(ctx).users.load(user).await?.map(User::from))
    }
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
    /// Cursor for `timelineEvents(after:)` that resumes without a gap.
    ///
    /// Null if the missed events are no longer available, or too many to replay. The client must
    /// then read the timeline again and subscribe with its `streamCursor`.
    resume_after: Option<String>,
}

/// The relationship between the viewer and another user has changed.
#[derive(SimpleObject)]
pub struct RelationshipEvent {
    /// When the event occurred.
    occurred_at: DateTime,
    /// The relationship at the time of delivery.
    relationship: Relationship,
}

#[derive(Default)]
pub struct Subscription;

/// Live updates over WebSocket or server-sent events.
///
/// The protocols are graphql-transport-ws for WebSocket, and graphql-sse in distinct connections
/// mode for server-sent events. If its session has ended, a stream fails with `UNAUTHENTICATED` at
/// its next event.
#[Subscription(name = "Subscription")]
impl Subscription {
    /// Changes of the viewer's own timeline.
    ///
    /// With `after`, the missed events are replayed first. No event is lost or delivered twice.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_CURSOR`, `UNAVAILABLE`, `RATE_LIMITED`.
    async fn timeline_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Cursor to resume after: `streamCursor` of a timeline page, or `cursor` of an \
                    event. Default: new events only."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<TimelineEvent, Error>>, Error> {
        let viewer = viewer(ctx)?;
        if let Some(source) = request(ctx).take_event_source() {
            return Ok(response(next_timeline_event(ctx, viewer.id(), source).await));
        }
        let after = after.map(|after| parse_stream_cursor(&after)).transpose()?;
        let after = after.map(|after| (after, loaders(ctx).snapshot.clone()));
        let stream = events(ctx).timeline(&viewer, after).await?;
        request(ctx).keep_event_source(EventSource { stream, filter: Filter::None });
        Ok(response(Ok(None)))
    }

    /// Changes of the relationships between the viewer and other users.
    ///
    /// These are follows, requests to follow and blocks in both directions, and the viewer's mutes.
    ///
    /// A client that falls behind gets `UNAVAILABLE` and must subscribe again.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`, `ARGUMENT_OUT_OF_RANGE`, `UNAVAILABLE`,
    /// `RATE_LIMITED`.
    async fn relationship_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only events with these users, at most 100. Default: all users.")]
        user_ids: Option<Vec<ID>>,
    ) -> Result<impl Stream<Item = Result<RelationshipEvent, Error>>, Error> {
        let viewer = viewer(ctx)?;
        if let Some(source) = request(ctx).take_event_source() {
            return Ok(response(next_relationship_event(ctx, viewer.id(), source).await));
        }
        let users = user_ids.map(|ids| parse_user_ids(&ids)).transpose()?;
        let stream = events(ctx).relationships(&viewer).await?;
        let filter = Filter::Relationships { viewer: viewer.id(), users };
        request(ctx).keep_event_source(EventSource { stream, filter });
        Ok(response(Ok(None)))
    }

    /// A user, at once and after changes of `followersCount` or `followingCount`.
    ///
    /// Changes can be merged into one event. The stream completes if the user does not exist, or
    /// when the user is deleted.
    ///
    /// Errors: `INVALID_ID`, `RATE_LIMITED`.
    async fn follow_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the user.")] user_id: ID,
    ) -> Result<impl Stream<Item = Result<User, Error>>, Error> {
        let id = GlobalId::user(&user_id)?;
        let event = match request(ctx).take_event_source() {
            Some(source) => next_counts(ctx, id, source).await,
            None => counts(ctx, id, follows_of(ctx, id).await?, None).await,
        };
        Ok(response(event))
    }
}

/// The response to one event, or none.
fn response<T>(event: Result<Option<T>, Error>) -> impl Stream<Item = Result<T, Error>> {
    stream::iter(event.transpose())
}

/// The next event of the timeline of `owner`.
///
/// Without an event, the source was kept for the next one, or has ended.
async fn next_timeline_event(
    ctx: &Context<'_>,
    owner: i64,
    mut source: EventSource,
) -> Result<Option<TimelineEvent>, Error> {
    let mut item = match source.stream.next().await {
        Ok(Some(item)) => item,
        Ok(None) => return Ok(None),
        // The rows of a replay that has begun cannot be paid, or cannot be read.
        Err(Error::RateLimited { .. } | Error::Unavailable) if request(ctx).has_begun_event() => {
            source.stream.lag()
        }
        Err(error) => return Err(error),
    };
    if request(ctx).begin_event(item.actor()).await.is_err() {
        item = source.stream.lag();
    }
    // The post was read anew, and the event may have waited for its client: the viewer may have
    // lost access since it occurred.
    let guarded = item.post().filter(|row| row.author.is_protected && row.author.id != owner);
    let is_hidden = match guarded.map(|row| row.post.id) {
        Some(post) => loaders(ctx).posts.load(post).await?.is_none(),
        None => false,
    };
    request(ctx).keep_event_source(source);
    Ok(if is_hidden { None } else { timeline_event(owner, item) })
}

async fn next_relationship_event(
    ctx: &Context<'_>,
    viewer: i64,
    mut source: EventSource,
) -> Result<Option<RelationshipEvent>, Error> {
    let event = match source.stream.next().await? {
        Some(StreamItem::Event(delivered)) => delivered,
        Some(StreamItem::Lagged { .. }) => return Err(Error::Unavailable),
        None => return Ok(None),
    };
    request(ctx).keep_event_source(source);
    let event = &event.event;
    let other = other_user(event, viewer);
    request(ctx).begin_event(None).await?;
    // The other account may have been deleted since.
    if loaders(ctx).users.load(other).await?.is_none() {
        return Ok(None);
    }
    let relationship = Relationship::load(ctx, viewer, other).await?;
    Ok(Some(RelationshipEvent { occurred_at: DateTime(event.at), relationship }))
}

/// The user after the next event, if the counts have changed.
async fn next_counts(
    ctx: &Context<'_>,
    id: i64,
    source: EventSource,
) -> Result<Option<User>, Error> {
    let EventSource { mut stream, filter } = source;
    match stream.next().await? {
        Some(StreamItem::Event(_)) => stream.skip_to_latest()?,
        // The current state replaces all dropped events.
        Some(StreamItem::Lagged { .. }) => stream = follows_of(ctx, id).await?,
        None => return Ok(None),
    }
    let previous = if let Filter::Counts { counts, .. } = filter { Some(counts) } else { None };
    counts(ctx, id, stream, previous).await
}

/// The user, if the counts differ from `previous`.
async fn counts(
    ctx: &Context<'_>,
    user: i64,
    stream: EventStream,
    previous: Option<(i32, i32)>,
) -> Result<Option<User>, Error> {
    request(ctx).begin_event(None).await?;
    let Some(row) = loaders(ctx).users.load(user).await? else { return Ok(None) };
    let counts = follow_counts_of(&row);
    let filter = Filter::Counts { user, counts };
    request(ctx).keep_event_source(EventSource { stream, filter });
    Ok((previous != Some(counts)).then(|| User::from(row)))
}

async fn follows_of(ctx: &Context<'_>, user: i64) -> Result<EventStream, Error> {
    events(ctx).counts(user, request(ctx).viewer().as_deref()).await
}

fn parse_stream_cursor(text: &str) -> Result<StreamPosition, Error> {
    StreamPosition::from_bytes(&decode_cursor_bytes(CursorKind::Stream, text)?)
        .ok_or(Error::InvalidCursor)
}

fn parse_user_ids(ids: &[ID]) -> Result<Vec<i64>, Error> {
    if ids.len() > MAX_USERS {
        return Err(Error::OutOfRange { argument: "userIds", min: 0, max: 100 });
    }
    ids.iter().map(|id| GlobalId::user(id)).collect()
}

/// The item as an event of the timeline of `owner`.
///
/// `None` if its post was deleted since, or if it is `Kind::LogStarted`.
fn timeline_event(owner: i64, item: StreamItem) -> Option<TimelineEvent> {
    let delivered = match item {
        StreamItem::Event(delivered) => delivered,
        StreamItem::Lagged { missed, resume_after } => {
            let resume_after = resume_after.as_ref().map(stream_cursor);
            return Some(TimelineEvent::Lagged(StreamLagged {
                cursor: resume_after.clone().unwrap_or_default(),
                occurred_at: DateTime(clock::now()),
                missed: missed.map(|missed| i32::try_from(missed).unwrap_or(i32::MAX)),
                resume_after,
            }));
        }
    };
    let DeliveredEvent { event, position, post, .. } = &*delivered;
    let (cursor, occurred_at) = (stream_cursor(position), DateTime(event.at));
    Some(match event.kind {
        Kind::LogStarted
        | Kind::PostCounted
        | Kind::Reposted
        | Kind::Unreposted
        | Kind::RepostsHidden => return None,
        Kind::PostAdded => {
            let edge = TimelineEdge::new(owner, post.as_ref()?, CursorKind::Timeline.into());
            TimelineEvent::Added(TimelinePostAdded { cursor, occurred_at, edge })
        }
        Kind::PostUpdated => {
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
        Kind::Several | Kind::UserRemoved | Kind::ManyChanged => {
            TimelineEvent::Reset(TimelineReset { cursor, occurred_at, user: None })
        }
    })
}
