//! The home timeline as clients see it.

use std::sync::Arc;

use async_graphql::{ComplexObject, Enum, Object, SimpleObject};
use entity::post;

use super::connection::PageInfo;
use super::post::Post;
use crate::page::{List, Slice, encode_cursor};

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
    post: post::Model,
}

#[ComplexObject]
impl TimelineEdge {
    /// The post.
    async fn node(&self) -> Post {
        Post(self.post.clone())
    }
}

impl TimelineEdge {
    pub fn new(owner: i64, post: &post::Model) -> Self {
        let own = post.author_id == owner;
        Self {
            cursor: encode_cursor(List::Timeline, &post.id),
            reason: if own { TimelineReason::Own } else { TimelineReason::Following },
            post: post.clone(),
        }
    }
}

pub struct TimelineConnection {
    pub owner: i64,
    pub slice: Arc<Slice<post::Model>>,
}

/// One page of a timeline. A page is never short while there is a next one.
#[Object]
impl TimelineConnection {
    /// The entries of this page, each with its cursor and the reason why it is here.
    async fn edges(&self) -> Vec<TimelineEdge> {
        self.slice.rows.iter().map(|post| TimelineEdge::new(self.owner, post)).collect()
    }

    /// The posts of `edges`, in the same order, for clients that need no more.
    async fn nodes(&self) -> Vec<Post> {
        self.slice.rows.iter().cloned().map(Post).collect()
    }

    /// Where this page stands in the timeline.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.slice, List::Timeline, |post| post.id)
    }
}
