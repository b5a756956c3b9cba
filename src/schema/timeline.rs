//! GraphQL types of the home timeline.
//!
//! The timeline has a connection type of its own: it has `newerCount` and `streamCursor`, and no
//! `totalCount`, which would have to count the posts of all followed users.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, InputObject, Object, SimpleObject};
use entity::feed_item::Kind;

use super::connection::PageInfo;
use super::eager::Eager;
use super::post::Post;
use super::request;
use super::scalar::DateTime;
use super::stream_event::stream_cursor;
use super::text::ShortText;
use super::user::User;
use crate::error::Error;
use crate::loaders;
use crate::loaders::{NewerCountKey, ShownReplies, TimelineKey, TimelineRow};
use crate::pagination::{CursorKind, CursorList, Page, encode_cursor};

/// Allowed values of `cap` of `newerCount`.
const CAP_RANGE: RangeInclusive<i32> = 1..=1_000;

/// Why a post is in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TimelineReason {
    /// The owner of the timeline wrote the post.
    Own,
    /// The owner of the timeline follows the author.
    Following,
    /// The owner, or a user whom the owner follows, has reposted the post.
    Repost,
}

/// Which replies a timeline shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::loaders::ShownReplies")]
pub enum TimelineReplies {
    /// All replies by the users whose posts it shows.
    All,
    /// Only replies to posts of the owner, or of users whom the owner follows.
    ToFollowed,
    /// No replies.
    None,
}

/// What a timeline shows.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct TimelineFilter {
    /// Whether it shows posts and reposts of the owner.
    #[graphql(default = true)]
    include_own: bool,
    /// Which replies it shows.
    #[graphql(default_with = "TimelineReplies::All")]
    replies: TimelineReplies,
    /// Whether it shows reposts.
    #[graphql(default = true)]
    include_reposts: bool,
}

impl From<TimelineFilter> for loaders::TimelineFilter {
    fn from(filter: TimelineFilter) -> Self {
        Self {
            include_own: filter.include_own,
            replies: filter.replies.into(),
            include_reposts: filter.include_reposts,
        }
    }
}

/// The list of the cursors of a timeline with a filter.
pub fn timeline_cursors(filter: loaders::TimelineFilter) -> CursorList {
    if filter == loaders::TimelineFilter::default() {
        return CursorKind::Timeline.into();
    }
    CursorList::with_arguments(CursorKind::Timeline, &format!("{filter:?}"))
}

/// The lists of the cursors of timelines with each filter.
pub fn all_timeline_cursors() -> impl Iterator<Item = CursorList> {
    let replies = [ShownReplies::All, ShownReplies::ToFollowed, ShownReplies::None];
    let flags = [(true, true), (true, false), (false, true), (false, false)];
    let of_replies = move |replies| {
        flags.map(|(include_own, include_reposts)| {
            timeline_cursors(loaders::TimelineFilter { include_own, replies, include_reposts })
        })
    };
    replies.into_iter().flat_map(of_replies)
}

/// An entry of a timeline.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct TimelineEdge {
    /// The cursor of this entry.
    cursor: String,
    /// Why the post is in this timeline.
    reason: TimelineReason,
    #[graphql(skip)]
    post: Post,
    /// The repost: the id of its feed item, and the user who reposted.
    #[graphql(skip)]
    repost: Option<(i64, i64)>,
}

#[ComplexObject]
impl TimelineEdge {
    /// The post.
    async fn node(&self) -> Eager<Post> {
        Eager(self.post.clone())
    }

    /// The user who reposted the post. Null unless `reason` is `REPOST`.
    async fn reposted_by(&self, ctx: &Context<'_>) -> Result<Option<Eager<User>>, Error> {
        let Some((_, user)) = self.repost else { return Ok(None) };
        User::load(ctx, user).await.map(Eager).map(Some)
    }

    /// When the post was reposted. Null unless `reason` is `REPOST`.
    ///
    /// A repost is in the timeline at the place of this time.
    async fn reposted_at(&self) -> Option<DateTime> {
        self.repost.map(|(item, _)| DateTime::from_id(item))
    }
}

impl TimelineEdge {
    /// The entry of a post that is no repost.
    pub fn of_post(owner: i64, post: Post) -> Self {
        let (cursor, is_own) = (post.row().id, post.row().author_id == owner);
        Self {
            cursor: encode_cursor(CursorKind::Timeline, &cursor),
            reason: if is_own { TimelineReason::Own } else { TimelineReason::Following },
            post,
            repost: None,
        }
    }

    /// The entry of a row in a timeline with these cursors.
    pub fn new(owner: i64, row: &TimelineRow, cursors: CursorList) -> Self {
        let repost = (row.kind == Kind::Repost).then_some((row.item, row.actor));
        let edge = Self::of_post(owner, Post::from(row));
        let reason = if repost.is_some() { TimelineReason::Repost } else { edge.reason };
        Self { cursor: encode_cursor(cursors, &row.item), reason, repost, ..edge }
    }
}

pub struct TimelineConnection {
    pub timeline: TimelineKey,
    pub page: Arc<Page<TimelineRow>>,
}

/// One page of a timeline.
///
/// A page has fewer entries than requested only if the timeline, or the range between the cursors,
/// has no more entries.
#[Object]
impl TimelineConnection {
    /// The entries of this page, each with its cursor and its reason.
    async fn edges(&self) -> Vec<Eager<TimelineEdge>> {
        let cursors = self.cursors();
        let edge = |row: &TimelineRow| Eager(TimelineEdge::new(row.owner, row, cursors));
        self.page.rows.iter().map(edge).collect()
    }

    /// The posts of `edges`, in the same order.
    async fn nodes(&self) -> Vec<Eager<Post>> {
        self.page.rows.iter().map(|entry| Eager(Post::from(entry))).collect()
    }

    /// The position of this page in the timeline.
    async fn page_info(&self) -> PageInfo {
        let cursors = self.cursors();
        let cursor = |entry: &TimelineRow| encode_cursor(cursors, &entry.item);
        PageInfo::new(&self.page, cursor)
    }

    /// Number of timeline entries newer than this page. Counting stops at `cap`.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    async fn newer_count(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100, desc = "Maximum of the count: 1 to 1000.")] cap: i32,
    ) -> Result<i32, Error> {
        if !CAP_RANGE.contains(&cap) {
            let (min, max) = (*CAP_RANGE.start(), *CAP_RANGE.end());
            return Err(Error::OutOfRange { argument: "cap", min, max });
        }
        if !self.page.has_previous {
            return Ok(0);
        }
        let first = self.page.rows.first().map(|entry| entry.item);
        // An empty page is preceded by the entry at its cursor `after`, which is counted, too.
        let after = self.timeline.page.page.after;
        let than = first.or(after.map(|after| after - 1)).unwrap_or(i64::MAX);
        let newer = NewerCountKey { timeline: self.timeline.timeline, than, cap };
        Ok(request(ctx).loaders.newer_counts.load(newer).await?.unwrap_or_default())
    }

    /// The position in the event stream at which this page was read.
    ///
    /// `timelineEvents(after:)` resumes there without a gap.
    async fn stream_cursor(&self, ctx: &Context<'_>) -> Result<ShortText<'_>, Error> {
        Ok(stream_cursor(&request(ctx).loaders.snapshot.stream_position().await?).into())
    }
}

impl TimelineConnection {
    fn cursors(&self) -> CursorList {
        timeline_cursors(self.timeline.timeline.filter)
    }
}
