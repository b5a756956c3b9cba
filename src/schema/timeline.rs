//! The home timeline as clients see it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, Object, SimpleObject};

use super::connection::PageInfo;
use super::live::stream_cursor;
use super::loaders;
use super::post::Post;
use super::prompt::Prompt;
use crate::error::Error;
use crate::loader::{Entry, NewerThan, PageOf};
use crate::page::{List, Slice, encode_cursor};

/// How far `newerCount` may count.
const CAPS: RangeInclusive<i32> = 1..=1_000;

/// Why an entry is in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TimelineReason {
    /// The timeline's owner wrote it.
    Own,
    /// Somebody whom the owner follows wrote it.
    Following,
}

/// A post in a timeline.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct TimelineEdge {
    /// The place of this entry in the timeline.
    cursor: String,
    /// Why the post is here.
    reason: TimelineReason,
    #[graphql(skip)]
    post: Post,
}

#[ComplexObject]
impl TimelineEdge {
    /// The post.
    async fn node(&self) -> Prompt<Post> {
        Prompt(self.post.clone())
    }
}

impl TimelineEdge {
    pub fn new(owner: i64, post: Post) -> Self {
        let own = post.row().author_id == owner;
        Self {
            cursor: encode_cursor(List::Timeline, &post.row().id),
            reason: if own { TimelineReason::Own } else { TimelineReason::Following },
            post,
        }
    }
}

pub struct TimelineConnection {
    pub of: PageOf,
    pub slice: Arc<Slice<Entry>>,
}

/// One page of a timeline. A page is never short while there is a next one.
#[Object]
impl TimelineConnection {
    /// The entries of this page, each with its cursor and the reason why it is here.
    async fn edges(&self) -> Vec<Prompt<TimelineEdge>> {
        let edge = |entry: &Entry| Prompt(TimelineEdge::new(entry.owner, Post::from(entry)));
        self.slice.rows.iter().map(edge).collect()
    }

    /// The posts of `edges`, in the same order, for clients that need no more.
    async fn nodes(&self) -> Vec<Prompt<Post>> {
        self.slice.rows.iter().map(|entry| Prompt(Post::from(entry))).collect()
    }

    /// Where this page stands in the timeline.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.slice, List::Timeline, |entry| entry.post.id)
    }

    /// How many entries are newer than `startCursor`, counted up to `cap`: what a button says that shows new posts. Of an
    /// empty page, how many are before it.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    async fn newer_count(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100, desc = "Where counting stops: 1 to 1000.")] cap: i32,
    ) -> Result<i32, Error> {
        if !CAPS.contains(&cap) {
            let (min, max) = (*CAPS.start(), *CAPS.end());
            return Err(Error::OutOfRange { argument: "cap", min, max });
        }
        if !self.slice.has_previous {
            return Ok(0);
        }
        let first = self.slice.rows.first().map(|entry| entry.post.id);
        // The entry that an empty page comes after counts as well.
        let than = first.or(self.of.page.after.map(|after| after - 1)).unwrap_or(i64::MAX);
        let newer = NewerThan { owner: self.of.owner, than, cap };
        Ok(loaders(ctx).newer.load(newer).await?.unwrap_or_default())
    }

    /// Where the stream of events stood when this page was read: with it, `timelineEvents(after:)` goes on from here without
    /// a gap.
    async fn stream_cursor(&self, ctx: &Context<'_>) -> Result<String, Error> {
        Ok(stream_cursor(&loaders(ctx).snapshot.moment().await?))
    }
}
