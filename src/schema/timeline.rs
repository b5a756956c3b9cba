//! The home timeline as clients see it.

use std::sync::Arc;

use async_graphql::{ComplexObject, Enum, Object, SimpleObject};

use super::connection::PageInfo;
use super::post::Post;
use super::prompt::Prompt;
use crate::loader::Entry;
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

pub struct TimelineConnection(pub Arc<Slice<Entry>>);

/// One page of a timeline. A page is never short while there is a next one.
#[Object]
impl TimelineConnection {
    /// The entries of this page, each with its cursor and the reason why it is here.
    async fn edges(&self) -> Vec<Prompt<TimelineEdge>> {
        let edge = |entry: &Entry| Prompt(TimelineEdge::new(entry.owner, Post::from(entry)));
        self.0.rows.iter().map(edge).collect()
    }

    /// The posts of `edges`, in the same order, for clients that need no more.
    async fn nodes(&self) -> Vec<Prompt<Post>> {
        self.0.rows.iter().map(|entry| Prompt(Post::from(entry))).collect()
    }

    /// Where this page stands in the timeline.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.0, List::Timeline, |entry| entry.post.id)
    }
}
