//! GraphQL subscriptions: timelines, notifications, relationships and counts.
//!
//! A subscription is executed once to start, and again for each event of its [`EventStream`]. In
//! between it holds its [`EventSource`] only: no database connection, no document and no response.
//! `timelineEvents` and `notificationEvents` can be resumed by the cursor of an event; docs/live.md
//! has the rules.

use async_graphql::{Context, ID, SimpleObject, Subscription};
use futures_util::stream::{self, Stream};

use super::event_source::{EventSource, Filter, follow_counts_of, other_user};
use super::notification_event::{NotificationEvent, notification_event};
use super::relationship::Relationship;
use super::scalar::DateTime;
use super::timeline_event::{TimelineEvent, timeline_event};
use super::user::User;
use super::{events, loaders, request, viewer};
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;
use crate::events::{EventStream, StreamItem};
use crate::ids::GlobalId;
use crate::pagination::{CursorKind, decode_cursor_bytes};

/// Maximum number of `userIds` of `relationshipEvents`.
const MAX_USERS: usize = 100;

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
/// its next event, and when the session expires.
#[Subscription(name = "Subscription")]
impl Subscription {
    /// Changes of the viewer's own timeline.
    ///
    /// With `after`, the missed events are replayed first. No event is lost. Only updates of
    /// counts, and the events of one deletion, can be delivered twice.
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
        let after = resumed_position(ctx, after.as_deref())?;
        let stream = events(ctx).timeline(&viewer, after).await?;
        request(ctx).keep_event_source(EventSource { stream, filter: Filter::None });
        Ok(response(Ok(None)))
    }

    /// Changes of the viewer's notifications.
    ///
    /// With `after`, the missed events are replayed first. No event is lost or delivered twice.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_CURSOR`, `UNAVAILABLE`, `RATE_LIMITED`.
    async fn notification_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Cursor to resume after: `streamCursor` of a page of notifications, or `cursor` \
                    of an event. Default: new events only."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<NotificationEvent, Error>>, Error> {
        let viewer = viewer(ctx)?;
        if let Some(source) = request(ctx).take_event_source() {
            return Ok(response(next_notification_event(ctx, viewer.id(), source).await));
        }
        let after = resumed_position(ctx, after.as_deref())?;
        let stream = events(ctx).notifications(&viewer, after).await?;
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
    let Some((item, is_hidden)) = next_item(ctx, owner, &mut source).await? else {
        return Ok(None);
    };
    request(ctx).keep_event_source(source);
    Ok(if is_hidden { None } else { timeline_event(owner, item) })
}

/// The next event of the notifications of `viewer`, as [`next_timeline_event`].
async fn next_notification_event(
    ctx: &Context<'_>,
    viewer: i64,
    mut source: EventSource,
) -> Result<Option<NotificationEvent>, Error> {
    let Some((item, is_hidden)) = next_item(ctx, viewer, &mut source).await? else {
        return Ok(None);
    };
    request(ctx).keep_event_source(source);
    // All subscribers would read the post again.
    if let Some(row) = item.post().filter(|_| !is_hidden) {
        loaders(ctx).posts.prime(row.post.id, row.post.clone()).await;
    }
    Ok(notification_event(&item, is_hidden))
}

/// The next item of a resumable stream, and whether its post is hidden.
///
/// A hidden post is one that the viewer may not see. `None` at the end of the stream.
async fn next_item(
    ctx: &Context<'_>,
    viewer: i64,
    source: &mut EventSource,
) -> Result<Option<(StreamItem, bool)>, Error> {
    let mut item = match source.stream.next().await {
        Ok(Some(item)) => item,
        Ok(None) => return Ok(None),
        // The rows of a replay that has begun cannot be paid, or cannot be read.
        Err(Error::RateLimited { .. } | Error::Unavailable) if request(ctx).has_begun_event() => {
            source.stream.lag()
        }
        Err(error) => return Err(error),
    };
    if request(ctx).begin_event(&item.users()).await.is_err() {
        item = source.stream.lag();
    }
    // The post was read anew, and the event may have waited for its client: the viewer may have
    // lost access since it occurred.
    let guarded = item.post().filter(|row| row.author.is_protected && row.author.id != viewer);
    let is_hidden = match guarded.map(|row| row.post.id) {
        Some(post) => loaders(ctx).posts.load(post).await?.is_none(),
        None => false,
    };
    Ok(Some((item, is_hidden)))
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
    request(ctx).begin_event(&[]).await?;
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
    request(ctx).begin_event(&[]).await?;
    let Some(row) = loaders(ctx).users.load(user).await? else { return Ok(None) };
    let counts = follow_counts_of(&row);
    let filter = Filter::Counts { user, counts };
    request(ctx).keep_event_source(EventSource { stream, filter });
    Ok((previous != Some(counts)).then(|| User::from(row)))
}

async fn follows_of(ctx: &Context<'_>, user: i64) -> Result<EventStream, Error> {
    events(ctx).counts(user, request(ctx).viewer().as_deref()).await
}

/// The position that a client resumes from, with the snapshot for its replay.
fn resumed_position(
    ctx: &Context<'_>,
    after: Option<&str>,
) -> Result<Option<(StreamPosition, Snapshot)>, Error> {
    let Some(after) = after else { return Ok(None) };
    Ok(Some((parse_stream_cursor(after)?, loaders(ctx).snapshot.clone())))
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
