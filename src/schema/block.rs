//! GraphQL types of blocks. Only the blocker can read their list.
//!
//! The list itself is `Viewer.blockedUsers` (viewer.rs).

use async_graphql::{Context, Object};

use super::connection::to_graphql_int;
use super::relationship::RelationshipPayload;
use super::scalar::DateTime;
use super::user::UserBy;
use super::user_list::user_edge;
use super::{loaders, run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;

user_edge!(
    /// An entry of the users whom the viewer blocks.
    BlockedUserEdge, "BlockedUserConnection", "The blocked user.",
    count: () => count,
    {
        /// When the viewer blocked the user.
        async fn blocked_at(&self) -> DateTime {
            DateTime::from_id(self.row.entry_id)
        }
    }
);

async fn count((): &(), ctx: &Context<'_>) -> Result<i32, Error> {
    domain::block::count(&loaders(ctx).snapshot, &*viewer(ctx)?).await.map(to_graphql_int)
}

#[derive(Default)]
pub struct BlockMutation;

#[Object]
impl BlockMutation {
    /// Blocks a user for the viewer.
    ///
    /// Follows between the two users and requests to follow end in both directions. While the
    /// block exists, neither can follow or mention the other, or like, repost or reply to a post
    /// of the other. Likes, reposts and replies that exist remain, and notifications of each other
    /// are deleted. Public data of each stays readable for the other.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn block(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to block.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::block::block(services(ctx), &viewer, &by);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }

    /// Ends the viewer's block of a user. Follows are not restored.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unblock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to unblock.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::block::unblock(services(ctx), &viewer, &by);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }
}
