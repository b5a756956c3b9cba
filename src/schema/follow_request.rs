//! GraphQL types of requests to follow a protected user.
//!
//! The lists are `Viewer.followRequests` and `Viewer.sentFollowRequests` (viewer.rs).

use async_graphql::{Context, Object};

use super::connection::to_graphql_int;
use super::relationship::RelationshipPayload;
use super::scalar::DateTime;
use super::user::UserBy;
use super::user_list::user_edge;
use super::{loaders, run_mutation, services, viewer};
use crate::domain;
use crate::domain::follow_request::Side;
use crate::error::Error;

user_edge!(
    /// An entry of the requests to follow the viewer, or of the viewer's own requests.
    FollowRequestEdge, "FollowRequestConnection",
    "The other user: who asks to follow the viewer, or whom the viewer asks to follow.",
    count: Side => count,
    {
        /// When the request was made.
        async fn requested_at(&self) -> DateTime {
            DateTime::from_id(self.row.entry_id)
        }
    }
);

async fn count(side: &Side, ctx: &Context<'_>) -> Result<i32, Error> {
    let (snapshot, viewer) = (&loaders(ctx).snapshot, viewer(ctx)?);
    domain::follow_request::count(snapshot, &viewer, *side).await.map(to_graphql_int)
}

#[derive(Default)]
pub struct FollowRequestMutation;

#[Object]
impl FollowRequestMutation {
    /// Accepts a user's request to follow the viewer.
    ///
    /// Changes nothing if the user follows the viewer already.
    ///
    /// User errors: `NOT_FOUND`, also without such a request; `SELF_TARGET`;
    /// `FOLLOW_LIMIT_REACHED` if the user follows the maximum number of users. Errors:
    /// `UNAUTHENTICATED`, `INVALID_ID`.
    async fn accept_follow_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user who asks to follow the viewer.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::follow_request::accept(services(ctx), &viewer, &by);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }

    /// Rejects a user's request to follow the viewer. The user may ask again.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn reject_follow_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user who asks to follow the viewer.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::follow_request::reject(services(ctx), &viewer, &by);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }
}
