//! GraphQL types of mutes. Only the muter can read their list.
//!
//! The list itself is `Viewer.mutedUsers` (viewer.rs).

use async_graphql::{Context, Object};

use super::connection::to_graphql_int;
use super::relationship::RelationshipPayload;
use super::scalar::DateTime;
use super::user::UserBy;
use super::user_list::user_edge;
use super::{loaders, run_mutation, services, viewer};
use crate::domain;
use crate::domain::mute::MuteOptions;
use crate::error::Error;

user_edge!(
    /// An entry of the users whom the viewer mutes.
    MutedUserEdge, "MutedUserConnection", "The muted user.",
    count: () => count,
    {
        /// When the viewer muted the user, or last changed the settings of the mute.
        async fn muted_at(&self) -> DateTime {
            DateTime::from_id(self.row.entry_id)
        }

        /// When the mute ends. Null if it does not end by itself.
        async fn expires_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>, Error> {
            let row = loaders(ctx).relationships.load(self.row.user.id).await?;
            Ok(row.and_then(|row| row.muting_until).map(DateTime))
        }
    }
);

async fn count((): &(), ctx: &Context<'_>) -> Result<i32, Error> {
    domain::mute::count(&loaders(ctx).snapshot, &*viewer(ctx)?).await.map(to_graphql_int)
}

#[derive(Default)]
pub struct MuteMutation;

#[Object]
impl MuteMutation {
    /// Mutes a user for the viewer, or changes the settings of the mute.
    ///
    /// The viewer's timeline, `newerCount` and `timelineEvents` leave out the posts of the user,
    /// also for other readers of that timeline. No other list changes, and the muted user is not
    /// informed. A mute needs no follow.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`,
    /// `ARGUMENT_OUT_OF_RANGE`.
    async fn mute(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to mute.")] user: UserBy,
        #[graphql(desc = "Seconds until the mute ends by itself: 1 to 315360000, which is 10 \
                          years. Default: it does not end by itself.")]
        expires_in_seconds: Option<i32>,
        #[graphql(
            default = true,
            desc = "Whether the viewer gets no new notifications about the user, too."
        )]
        notifications: bool,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let options =
            MuteOptions { expires_in: expires_in_seconds, hides_notifications: notifications };
        let write = || domain::mute::mute(services(ctx), &viewer, &by, options);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }

    /// Ends the viewer's mute of a user.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unmute(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to unmute.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::mute::unmute(services(ctx), &viewer, &by);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }
}
