//! GraphQL types of the home timeline.
//!
//! The timeline has a connection type of its own: it has `newerCount` and `streamCursor`, and no
//! `totalCount`, which would have to count the posts of all followed users.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, Object, SimpleObject};

use super::connection::PageInfo;
use super::eager::Eager;
use super::loaders;
use super::post::Post;
use super::subscription::stream_cursor;
use super::text::ShortText;
use crate::error::Error;
use crate::loaders::{NewerCountKey, PageKey, TimelineKey, TimelineRow};
use crate::pagination::{CursorKind, Page, encode_cursor};

/// Allowed values of `cap` of `newerCount`.
const CAP_RANGE: RangeInclusive<i32> = 1..=1_000;

/// Why a post is in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TimelineReason {
    /// The owner of the timeline wrote the post.
    Own,
    /// The owner of the timeline follows the author.
    Following,
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
}

#[ComplexObject]
impl TimelineEdge {
    /// The post.
    async fn node(&self) -> Eager<Post> {
        Eager(self.post.clone())
    }
}

impl TimelineEdge {
    pub fn new(owner: i64, post: Post) -> Self {
        let is_own = post.row().author_id == owner;
        Self {
            cursor: encode_cursor(CursorKind::Timeline, &post.row().id),
            reason: if is_own { TimelineReason::Own } else { TimelineReason::Following },
            post,
        }
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
        let edge = |entry: &TimelineRow| Eager(TimelineEdge::new(entry.owner, Post::from(entry)));
        self.page.rows.iter().map(edge).collect()
    }

    /// The posts of `edges`, in the same order.
    async fn nodes(&self) -> Vec<Eager<Post>> {
        self.page.rows.iter().map(|entry| Eager(Post::from(entry))).collect()
    }

    /// The position of this page in the timeline.
    async fn page_info(&self) -> PageInfo {
        let cursor = |entry: &TimelineRow| encode_cursor(CursorKind::Timeline, &entry.post.id);
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
        let TimelineKey { page: PageKey { owner, page }, following, has_mutes } = &self.timeline;
        let first = self.page.rows.first().map(|entry| entry.post.id);
        // An empty page is preceded by the entry at its cursor `after`, which is counted, too.
        let than = first.or(page.after.map(|after| after - 1)).unwrap_or(i64::MAX);
        let (owner, following, has_mutes) = (*owner, *following, *has_mutes);
        let newer = NewerCountKey { owner, following, than, cap, has_mutes };
        Ok(loaders(ctx).newer_counts.load(newer).await?.unwrap_or_default())
    }

    /// The position in the event stream at which this page was read.
    ///
    /// `timelineEvents(after:)` resumes there without a gap.
    async fn stream_cursor(&self, ctx: &Context<'_>) -> Result<ShortText<'_>, Error> {
        Ok(stream_cursor(&loaders(ctx).snapshot.stream_position().await?).into())
    }
}
