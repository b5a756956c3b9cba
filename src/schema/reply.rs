//! Fields of a post about its conversation: the posts before it, and its replies.

use async_graphql::{Context, Object};
use entity::post;

use super::connection::{Connection, PageArgs, cost_of_posts, multiply_cost};
use super::eager::Eager;
use super::post::{Post, PostEdge};
use super::{loaders, post_list, request};
use crate::error::Error;
use crate::loaders::MAX_ANCESTORS;

/// What the fields depend on.
#[derive(Clone, Copy, Debug)]
pub struct Conversation {
    post: i64,
    author: i64,
    parent: Option<i64>,
    replies_count: i32,
}

impl From<&post::Model> for Conversation {
    fn from(row: &post::Model) -> Self {
        Self {
            post: row.id,
            author: row.author_id,
            parent: row.in_reply_to_id,
            replies_count: row.replies_count,
        }
    }
}

#[Object]
impl Conversation {
    /// The post that this one replies to.
    ///
    /// Null if it replies to none, and if that post was deleted or the viewer may not see it.
    async fn in_reply_to(&self, ctx: &Context<'_>) -> Result<Option<Eager<Post>>, Error> {
        let Some(parent) = self.parent else { return Ok(None) };
        let parent = loaders(ctx).posts.load(parent).await?;
        Ok(parent.map(|parent| Eager(Post::from(parent))))
    }

    /// Whether this post replies to another one, even if that was deleted.
    async fn is_reply(&self) -> bool {
        self.parent.is_some()
    }

    /// The posts before this one in its conversation, down to `inReplyTo`.
    ///
    /// The oldest comes first. At most the nearest 40. A post that was deleted, or that the viewer
    /// may not see, hides all posts before it. Empty if `inReplyTo` is null.
    #[graphql(complexity = "multiply_cost(MAX_ANCESTORS, child_complexity)")]
    async fn ancestors(&self, ctx: &Context<'_>) -> Result<Vec<Eager<Post>>, Error> {
        if self.parent.is_none() {
            return Ok(vec![]);
        }
        let ancestors = loaders(ctx).ancestors.load(self.post).await?.unwrap_or_default();
        Ok(ancestors.iter().map(|post| Eager(Post::from((**post).clone()))).collect())
    }

    /// The replies to this post that the viewer may see, oldest first.
    ///
    /// `totalCount` is the number of these replies.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost_of_posts(first, last, child_complexity)")]
    async fn replies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<PostEdge>, Error> {
        let page = PageArgs { first, after, last, before };
        post_list::replies(ctx, (self.post, self.replies_count), page).await
    }

    /// Number of all replies to this post, including those that the viewer may not see.
    async fn replies_count(&self) -> i32 {
        self.replies_count
    }

    /// Whether the viewer may reply to this post: neither blocks the other.
    ///
    /// True for the viewer's own posts. False for anonymous requests.
    async fn viewer_can_reply(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        let Some(viewer) = request(ctx).viewer() else { return Ok(false) };
        if viewer.id() == self.author {
            return Ok(true);
        }
        let row = loaders(ctx).relationships.load(self.author).await?.unwrap_or_default();
        Ok(row.blocking.is_none() && row.blocked_by.is_none())
    }
}
