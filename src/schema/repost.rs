//! GraphQL types of reposts.
//!
//! The users who repost a post are `Post.reposters` (post.rs). Timelines have an entry for each
//! repost that they show (timeline.rs).

use async_graphql::{Context, ID, Object};

use super::connection::LoadedCount;
use super::post::PostPayload;
use super::scalar::DateTime;
use super::user_list::user_edge;
use super::{run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;
use crate::ids::GlobalId;

user_edge!(
    /// An entry of the users who have reposted a post.
    ReposterEdge, "ReposterConnection", "The user who has reposted the post.",
    count: LoadedCount => LoadedCount::read,
    {
        /// When the user reposted the post.
        async fn reposted_at(&self) -> DateTime {
            DateTime::from_id(self.row.entry_id)
        }
    }
);

#[derive(Default)]
pub struct RepostMutation;

#[Object]
impl RepostMutation {
    /// Reposts a post for the viewer.
    ///
    /// It appears in the timelines of the viewer and all followers, except where the original is
    /// shown or its author is hidden (see `User.timeline`). A post is reposted by a user once.
    ///
    /// User errors: `NOT_FOUND`, also for a post that the viewer may not see; `INVALID_INPUT` if
    /// another user wrote the post and is protected; `BLOCKED` if the viewer blocks the author, or
    /// the author blocks the viewer. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn repost(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, GlobalId::post(&post_id)?);
        let write = || domain::repost::repost(services(ctx), &viewer, id);
        Ok(PostPayload(run_mutation(ctx, write).await?))
    }

    /// Withdraws the viewer's repost of a post. A block does not prevent it.
    ///
    /// User errors: `NOT_FOUND`, also for a post that the viewer may not see. Errors:
    /// `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unrepost(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] post_id: ID,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, GlobalId::post(&post_id)?);
        let write = || domain::repost::unrepost(services(ctx), &viewer, id);
        Ok(PostPayload(run_mutation(ctx, write).await?))
    }
}
