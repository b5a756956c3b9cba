//! Subscriptions: what happens, as it happens.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Interface, SimpleObject, Subscription, Union};
use chrono::Utc;
use entity::event::Kind;
use entity::user::Model as UserRow;
use futures_util::stream::{self, Stream};

use super::follow::Relationship;
use super::post::Post;
use super::scalar::DateTime;
use super::timeline::TimelineEdge;
use super::user::User;
use super::{caller, live, loaders, viewer};
use crate::database::Moment;
use crate::error::Error;
use crate::id::Id;
use crate::live::{Feed, Happening, News};
use crate::page::{List, decode_place, encode_place};

/// Users whom `relationshipEvents` can be narrowed to.
const MAX_USERS: usize = 100;

/// The cursor of a moment, for `timelineEvents(after:)`.
pub fn stream_cursor(moment: &Moment) -> String {
    encode_place(List::Stream, &moment.to_bytes())
}

/// Something that happened, in its place in the stream.
#[derive(Interface)]
#[graphql(
    field(
        name = "cursor",
        ty = "&String",
        desc = "Give it to `timelineEvents(after:)` to go on behind this event, without a gap."
    ),
    field(name = "occurred_at", ty = "&DateTime", desc = "When it happened.")
)]
pub enum StreamEvent {
    Added(TimelinePostAdded),
    Updated(TimelinePostUpdated),
    Removed(TimelinePostRemoved),
    Reset(TimelineReset),
    Lagged(StreamLagged),
}

/// What can happen to a timeline.
#[derive(Union)]
pub enum TimelineEvent {
    Added(TimelinePostAdded),
    Updated(TimelinePostUpdated),
    Removed(TimelinePostRemoved),
    Reset(TimelineReset),
    Lagged(StreamLagged),
}

/// A post has come into the timeline, most often at its head. When it is gone again by the time that this would be sent, only
/// its removal is.
#[derive(SimpleObject)]
pub struct TimelinePostAdded {
    /// Give it to `timelineEvents(after:)` to go on behind this event, without a gap.
    cursor: String,
    /// When it happened.
    occurred_at: DateTime,
    /// The entry, to be put into its place: entries are in the order of `createdAt`, newest first.
    edge: TimelineEdge,
}

/// A post in the timeline has changed.
#[derive(SimpleObject)]
pub struct TimelinePostUpdated {
    /// Give it to `timelineEvents(after:)` to go on behind this event, without a gap.
    cursor: String,
    /// When it happened.
    occurred_at: DateTime,
    /// The post as it is now.
    post: Post,
}

/// A post in the timeline is gone.
#[derive(SimpleObject)]
pub struct TimelinePostRemoved {
    /// Give it to `timelineEvents(after:)` to go on behind this event, without a gap.
    cursor: String,
    /// When it happened.
    occurred_at: DateTime,
    /// The post that is gone.
    post_id: ID,
}

/// The timeline shows other posts from now on, older ones too: read it anew.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct TimelineReset {
    /// Give it to `timelineEvents(after:)` to go on behind this event, without a gap.
    cursor: String,
    /// When it happened.
    occurred_at: DateTime,
    #[graphql(skip)]
    user: Option<i64>,
}

#[ComplexObject]
impl TimelineReset {
    /// Whom the viewer has followed or unfollowed; null when an account is gone, or when the operator has changed more than
    /// can be told.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let Some(user) = self.user else { return Ok(None) };
        Ok(loaders(ctx).users.load(user).await?.map(User::from))
    }
}

/// The last event: some could not be told, and the stream ends here.
#[derive(SimpleObject)]
pub struct StreamLagged {
    /// As `resumeAfter`; empty without one.
    cursor: String,
    /// When it happened.
    occurred_at: DateTime,
    /// How many events were dropped because the client did not take them, up to now; null when the cursor in `after` was
    /// too old for that to be known.
    missed: Option<i32>,
    /// Subscribe again with it in `after`, and nothing is lost. Null when that is not possible any more: read the timeline
    /// anew, and go on from its `streamCursor`.
    resume_after: Option<String>,
}

/// A follow between the viewer and somebody else was made or unmade.
#[derive(SimpleObject)]
pub struct RelationshipEvent {
    /// When it happened.
    occurred_at: DateTime,
    /// How things stand now.
    relationship: Relationship,
}

#[derive(Default)]
pub struct LiveSubscription;

/// What happens, as it happens: over a WebSocket with the protocol graphql-transport-ws, or as server-sent events
/// (graphql-sse, distinct connections). A stream whose session is over ends with `UNAUTHENTICATED` at its next event.
#[Subscription(name = "Subscription")]
impl LiveSubscription {
    /// The viewer's own timeline, live. With `after`, first what has happened since then, and then what happens:
    /// nothing is lost, and nothing comes twice.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_CURSOR`.
    async fn timeline_events<'ctx>(
        &self,
        ctx: &'ctx Context<'_>,
        #[graphql(
            desc = "Where to go on: the `streamCursor` of a timeline that was read, or the `cursor` of the last event. From now on by default."
        )]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<TimelineEvent, Error>> + 'ctx, Error> {
        let viewer = viewer(ctx)?;
        let after = after.map(|after| moment(&after)).transpose()?;
        let feed = live(ctx).timeline(&viewer, after).await?;
        let owner = viewer.id();
        Ok(stream::try_unfold(feed, move |mut feed| async move {
            loop {
                let Some(news) = feed.next().await? else { return Ok(None) };
                caller(ctx).wake(news.actor()).await;
                if let Some(event) = timeline_event(owner, news) {
                    return Ok(Some((event, feed)));
                }
            }
        }))
    }

    /// The follows between the viewer and others: made and unmade, in both directions, from now on. A client that
    /// does not take them in time gets `UNAVAILABLE`, and subscribes again.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`, `ARGUMENT_OUT_OF_RANGE`, `UNAVAILABLE`.
    async fn relationship_events<'ctx>(
        &self,
        ctx: &'ctx Context<'_>,
        #[graphql(desc = "Only with these users: at most 100. With everybody by default.")]
        user_ids: Option<Vec<ID>>,
    ) -> Result<impl Stream<Item = Result<RelationshipEvent, Error>> + 'ctx, Error> {
        let viewer = viewer(ctx)?;
        let users = user_ids.map(|ids| users(&ids)).transpose()?;
        let feed = live(ctx).follows(viewer.id(), Some(&viewer)).await?;
        let me = viewer.id();
        Ok(stream::try_unfold((feed, users), move |(mut feed, users)| async move {
            loop {
                // Who waits keeps no connection.
                loaders(ctx).clear().await;
                let Some(happening) = next_follow(&mut feed).await? else { return Ok(None) };
                caller(ctx).wake(None).await;
                let event = &happening.event;
                let other = if event.actor == me { event.object } else { event.actor };
                let is_follow = matches!(event.kind, Kind::Followed | Kind::Unfollowed);
                if is_follow && users.as_ref().is_none_or(|users| users.contains(&other)) {
                    // Somebody who is gone meanwhile has no relationship.
                    if loaders(ctx).users.load(other).await?.is_some() {
                        let relationship = Relationship::load(ctx, me, other).await?;
                        let occurred_at = DateTime(event.at);
                        let event = RelationshipEvent { occurred_at, relationship };
                        return Ok(Some((event, (feed, users))));
                    }
                }
            }
        }))
    }

    /// A user: now, and whenever `followersCount` or `followingCount` have changed. Changes that come together may come as
    /// one. Ends when there is no such user, or no longer.
    ///
    /// Errors: `INVALID_ID`.
    async fn follow_counts<'ctx>(
        &self,
        ctx: &'ctx Context<'_>,
        #[graphql(desc = "The user.")] user_id: ID,
    ) -> Result<impl Stream<Item = Result<User, Error>> + 'ctx, Error> {
        let id = Id::user(&user_id)?;
        let subscribe = async move || {
            let viewer = caller(ctx).viewer();
            live(ctx).follows(id, viewer.as_deref()).await
        };
        let begun = (subscribe().await?, None);
        Ok(stream::try_unfold(begun, move |(mut feed, shown)| async move {
            let mut is_new = shown.is_none();
            loop {
                if !is_new {
                    match feed.next().await? {
                        Some(News::Happened(one)) => {
                            let last = feed.skip_waiting(one)?;
                            // Most of whoever listens is not concerned by an account that is gone.
                            let now = last.users.get(&id).map(|user| counts(user));
                            if now.is_some() && now == shown {
                                continue;
                            }
                        }
                        // However many were dropped, how things stand now is what is told.
                        Some(News::Lagged { .. }) => feed = subscribe().await?,
                        None => return Ok(None),
                    }
                }
                is_new = false;
                caller(ctx).wake(None).await;
                let Some(user) = loaders(ctx).users.load(id).await? else { return Ok(None) };
                let now = Some(counts(&user));
                if now != shown {
                    return Ok(Some((User::from(user), (feed, now))));
                }
                loaders(ctx).clear().await;
            }
        }))
    }
}

fn counts(user: &UserRow) -> (i32, i32) {
    (user.followers_count, user.following_count)
}

fn moment(text: &str) -> Result<Moment, Error> {
    Moment::from_bytes(&decode_place(List::Stream, text)?).ok_or(Error::InvalidCursor)
}

fn users(ids: &[ID]) -> Result<Vec<i64>, Error> {
    if ids.len() > MAX_USERS {
        return Err(Error::OutOfRange { argument: "userIds", min: 0, max: 100 });
    }
    ids.iter().map(|id| Id::user(id)).collect()
}

/// What the news is to the timeline of `owner`, if anything.
fn timeline_event(owner: i64, news: News) -> Option<TimelineEvent> {
    let happening = match news {
        News::Happened(happening) => happening,
        News::Lagged { missed, resume_after } => {
            let resume_after = resume_after.as_ref().map(stream_cursor);
            return Some(TimelineEvent::Lagged(StreamLagged {
                cursor: resume_after.clone().unwrap_or_default(),
                occurred_at: DateTime(Utc::now()),
                missed: missed.map(|missed| i32::try_from(missed).unwrap_or(i32::MAX)),
                resume_after,
            }));
        }
    };
    let Happening { event, moment, post, .. } = &*happening;
    let (cursor, occurred_at) = (stream_cursor(moment), DateTime(event.at));
    Some(match event.kind {
        Kind::Began => return None,
        Kind::PostAdded => {
            let edge = TimelineEdge::new(owner, Post::from(post.as_ref()?));
            TimelineEvent::Added(TimelinePostAdded { cursor, occurred_at, edge })
        }
        Kind::PostUpdated => {
            let post = Post::from(post.as_ref()?);
            TimelineEvent::Updated(TimelinePostUpdated { cursor, occurred_at, post })
        }
        Kind::PostRemoved => {
            let post_id = Id::Post(event.object).encode().into();
            TimelineEvent::Removed(TimelinePostRemoved { cursor, occurred_at, post_id })
        }
        Kind::Followed | Kind::Unfollowed | Kind::UserRemoved | Kind::ManyChanged => {
            let is_known = matches!(event.kind, Kind::Followed | Kind::Unfollowed);
            let user = is_known.then_some(event.object);
            TimelineEvent::Reset(TimelineReset { cursor, occurred_at, user })
        }
    })
}

async fn next_follow(feed: &mut Feed) -> Result<Option<Arc<Happening>>, Error> {
    match feed.next().await? {
        Some(News::Happened(happening)) => Ok(Some(happening)),
        Some(News::Lagged { .. }) => Err(Error::Unavailable),
        None => Ok(None),
    }
}
