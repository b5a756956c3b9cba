//! GraphQL types of bookmarks, which only their owner can read.
//!
//! The list itself is `Viewer.bookmarks` (account.rs). `totalCount` has no stored count and counts
//! the rows.

use async_graphql::{Context, ID, Object};
use entity::bookmark;

use super::connection::{Edge, to_graphql_int};
use super::post::{Post, PostPayload};
use super::scalar::DateTime;
use super::text::ShortText;
use super::{loaders, run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;
use crate::ids::GlobalId;

pub struct BookmarkEdge {
    cursor: String,
    row: bookmark::Model,
}

/// An entry of the viewer's bookmarks.
#[Object]
impl BookmarkEdge {
    /// The cursor of this entry.
    async fn cursor(&self) -> ShortText<'_> {
        self.cursor.as_str().into()
    }

    /// The bookmarked post.
    async fn node(&self, ctx: &Context<'_>) -> Result<Post, Error> {
        Self::load(&self.row, ctx).await
    }

    /// When the viewer added the bookmark.
    async fn bookmarked_at(&self) -> DateTime {
        DateTime::from_id(self.row.id)
    }
}

impl Edge for BookmarkEdge {
    const CONNECTION: &'static str = "BookmarkConnection";
    type Row = bookmark::Model;
    type Node = Post;
    type Key = i64;
    type CountSource = ();

    fn new(row: &bookmark::Model, cursor: String) -> Self {
        Self { cursor, row: row.clone() }
    }

    fn key(row: &bookmark::Model) -> i64 {
        row.id
    }

    async fn load(row: &bookmark::Model, ctx: &Context<'_>) -> Result<Post, Error> {
        let post = loaders(ctx).posts.load(row.post_id).await?;
        post.map(Post::from).ok_or(Error::Deleted)
    }

    async fn count((): &(), ctx: &Context<'_>) -> Result<i32, Error> {
        domain::bookmark::count(&loaders(ctx).snapshot, &*viewer(ctx)?).await.map(to_graphql_int)
    }
}

#[derive(Default)]
pub struct BookmarkMutation;

#[Object]
impl BookmarkMutation {
    /// Bookmarks a post for the viewer. Only the viewer can read their bookmarks.
    ///
    /// User errors: `NOT_FOUND`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn bookmark(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, GlobalId::post(&post_id)?);
        let write = || domain::bookmark::add(services(ctx), &viewer, id);
        Ok(PostPayload(run_mutation(ctx, write).await?))
    }

    /// Removes the viewer's bookmark of a post.
    ///
    /// User errors: `NOT_FOUND`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unbookmark(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, GlobalId::post(&post_id)?);
        let write = || domain::bookmark::remove(services(ctx), &viewer, id);
        Ok(PostPayload(run_mutation(ctx, write).await?))
    }
}
