//! Bookmarks as their owner sees them.

use async_graphql::{Context, ID, Object};
use entity::bookmark;

use super::connection::{Edge, int};
use super::post::{Post, PostPayload};
use super::scalar::DateTime;
use super::{graph, loaders, viewer, write};
use crate::error::Error;
use crate::graph;
use crate::id::Id;

pub struct BookmarkEdge {
    cursor: String,
    row: bookmark::Model,
}

/// A post that the viewer has bookmarked.
#[Object]
impl BookmarkEdge {
    /// The place of this entry in the list.
    async fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The post.
    async fn node(&self, ctx: &Context<'_>) -> Result<Post, Error> {
        Self::load(&self.row, ctx).await
    }

    /// When the viewer bookmarked it.
    async fn bookmarked_at(&self) -> DateTime {
        DateTime::of(self.row.id)
    }
}

impl Edge for BookmarkEdge {
    const CONNECTION: &'static str = "BookmarkConnection";
    type Row = bookmark::Model;
    type Node = Post;
    type Position = i64;
    type Whole = ();

    fn new(row: &bookmark::Model, cursor: String) -> Self {
        Self { cursor, row: row.clone() }
    }

    fn position(row: &bookmark::Model) -> i64 {
        row.id
    }

    async fn load(row: &bookmark::Model, ctx: &Context<'_>) -> Result<Post, Error> {
        let post = loaders(ctx).posts.load(row.post_id).await?;
        post.map(Post::from).ok_or_else(|| Error::internal("a bookmark refers to a missing post"))
    }

    async fn count((): &(), ctx: &Context<'_>) -> Result<i32, Error> {
        graph::bookmark::count(&loaders(ctx).snapshot, &*viewer(ctx)?).await.map(int)
    }
}

#[derive(Default)]
pub struct BookmarkMutation;

#[Object]
impl BookmarkMutation {
    /// Bookmarks a post for the viewer. Nobody else sees it.
    ///
    /// User errors: `NOT_FOUND`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn bookmark(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, Id::post(&post_id)?);
        let change = || graph::bookmark::add(graph(ctx), &viewer, id);
        Ok(PostPayload(write(ctx, change).await?))
    }

    /// Takes the viewer's bookmark off a post.
    ///
    /// User errors: `NOT_FOUND`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unbookmark(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, Id::post(&post_id)?);
        let change = || graph::bookmark::remove(graph(ctx), &viewer, id);
        Ok(PostPayload(write(ctx, change).await?))
    }
}
