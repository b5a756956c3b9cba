//! GraphQL types of likes.
//!
//! The users who like a post are `Post.likers` (post.rs). The posts that the viewer likes, which
//! only the viewer can list, are `Viewer.likes` (viewer.rs); their `totalCount` counts the rows.

use async_graphql::{Context, ID, Object};
use entity::like;

use super::connection::{Edge, LoadedCount, to_graphql_int};
use super::post::{Post, PostPayload};
use super::scalar::DateTime;
use super::text::ShortText;
use super::user_list::user_edge;
use super::{loaders, run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;
use crate::ids::GlobalId;

user_edge!(
    /// An entry of the users who like a post.
    LikerEdge, "LikerConnection", "The user who likes the post.",
    count: LoadedCount => LoadedCount::read,
    {
        /// When the user liked the post.
        async fn liked_at(&self) -> DateTime {
            DateTime::from_id(self.row.entry_id)
        }
    }
);

pub struct LikedPostEdge {
    cursor: String,
    row: like::Model,
}

/// An entry of the posts that the viewer likes.
#[Object]
impl LikedPostEdge {
    /// The cursor of this entry.
    async fn cursor(&self) -> ShortText<'_> {
        self.cursor.as_str().into()
    }

    /// The liked post.
    async fn node(&self, ctx: &Context<'_>) -> Result<Post, Error> {
        Self::load(&self.row, ctx).await
    }

    /// When the viewer liked the post.
    async fn liked_at(&self) -> DateTime {
        DateTime::from_id(self.row.id)
    }
}

impl Edge for LikedPostEdge {
    const CONNECTION: &'static str = "LikedPostConnection";
    type Row = like::Model;
    type Node = Post;
    type Key = i64;
    type CountSource = ();

    fn new(row: &like::Model, cursor: String) -> Self {
        Self { cursor, row: row.clone() }
    }

    fn key(row: &like::Model) -> i64 {
        row.id
    }

    async fn load(row: &like::Model, ctx: &Context<'_>) -> Result<Post, Error> {
        let post = loaders(ctx).posts.load(row.post_id).await?;
        post.map(Post::from).ok_or(Error::Deleted)
    }

    async fn count((): &(), ctx: &Context<'_>) -> Result<i32, Error> {
        domain::like::count(&loaders(ctx).snapshot, &*viewer(ctx)?).await.map(to_graphql_int)
    }
}

#[derive(Default)]
pub struct LikeMutation;

#[Object]
impl LikeMutation {
    /// Likes a post for the viewer. Each viewer of the post sees who likes it.
    ///
    /// Users may like their own posts.
    ///
    /// User errors: `NOT_FOUND`, also for a post that the viewer may not see; `BLOCKED` if the
    /// viewer blocks the author, or the author blocks the viewer. Errors: `UNAUTHENTICATED`,
    /// `INVALID_ID`.
    async fn like(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, GlobalId::post(&post_id)?);
        let write = || domain::like::like(services(ctx), &viewer, id);
        Ok(PostPayload(run_mutation(ctx, write).await?))
    }

    /// Removes the viewer's like of a post. A block does not prevent it.
    ///
    /// User errors: `NOT_FOUND`, also for a post that the viewer may not see. Errors:
    /// `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unlike(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, GlobalId::post(&post_id)?);
        let write = || domain::like::unlike(services(ctx), &viewer, id);
        Ok(PostPayload(run_mutation(ctx, write).await?))
    }
}
