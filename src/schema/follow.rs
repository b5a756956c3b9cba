//! GraphQL types of follows: edges of both lists, and mutations.
//!
//! The lists themselves are in `follow_list`.

use async_graphql::{Context, ID, Object};
use futures_util::future::try_join;

use super::connection::Edge;
use super::error::{UserErrorInterface, user_errors};
use super::follow_list::FollowCount;
use super::relationship::{Relationship, RelationshipPayload};
use super::scalar::DateTime;
use super::user::{User, UserBy};
use super::user_list::user_edge;
use super::{Outcome, loaders, run_mutation, services, viewer};
use crate::domain;
use crate::domain::follow::FollowChange;
use crate::error::Error;
use crate::ids::GlobalId;
use crate::loaders::ListedUser;
use crate::pagination::{CursorKind, encode_cursor};

/// Defines the edge type of one list of follows.
///
/// `$reverse` maps the list's owner and the entry's user to the (follower, followed) pair of the
/// opposite direction.
macro_rules! follow_edge {
    ($name:ident, $connection:literal, $doc:literal, $node_doc:literal, $reverse:expr) => {
        user_edge!(
            #[doc = $doc]
            $name, $connection, $node_doc,
            count: FollowCount => FollowCount::read,
            {
                /// When the follow was made.
                async fn followed_at(&self) -> DateTime {
                    DateTime::from_id(self.row.entry_id)
                }

                /// Whether the two users follow each other, as of this response.
                ///
                /// Payloads of later mutations update `Relationship.isMutual` in a client's cache,
                /// but not this field.
                async fn is_mutual(&self, ctx: &Context<'_>) -> Result<bool, Error> {
                    let (owner, user) = (self.row.owner, self.row.user.id);
                    Ok(loaders(ctx).follow_exists.load(($reverse)(owner, user)).await?.is_some())
                }
            }
        );
    };
}

follow_edge!(
    FollowerEdge,
    "FollowerConnection",
    "An entry of a user's followers.",
    "The follower.",
    |owner, user| (owner, user)
);
follow_edge!(
    FollowingEdge,
    "FollowingConnection",
    "An entry of the users that a user follows.",
    "The followed user.",
    |owner, user| (user, owner)
);

/// The outcome of a mutation of a follow.
///
/// The users are read in the snapshot after the mutation, so that their counts equal their lists.
struct FollowOutcome(Outcome<FollowChange>);

impl FollowOutcome {
    fn has_changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    fn id(&self, which: impl Fn(&FollowChange) -> i64) -> Option<i64> {
        self.0.as_ref().ok().map(which)
    }

    /// One of the two users. `None` on failure, and if the user was deleted since.
    async fn user(
        &self,
        ctx: &Context<'_>,
        which: impl Fn(&FollowChange) -> i64,
    ) -> Result<Option<User>, Error> {
        match self.id(which) {
            Some(id) => User::after(ctx, id).await,
            None => Ok(None),
        }
    }
}

pub struct FollowPayload(FollowOutcome);

/// Payload of `follow`.
///
/// It has both users with their counts as of the mutation, and the edges for client caches.
#[Object]
impl FollowPayload {
    /// True if the follow or the request is new.
    ///
    /// False if it already existed, and on failure.
    async fn changed(&self) -> bool {
        self.0.has_changed()
    }

    /// The followed user. Null on failure.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        self.0.user(ctx, |change| change.followed).await
    }

    /// The viewer's own user. Null on failure.
    async fn follower(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        self.0.user(ctx, |change| change.follower).await
    }

    /// The viewer's relationship with the user, after the mutation. Null on failure.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        Relationship::after(ctx, self.0.id(|change| change.followed)).await
    }

    /// The entry of `follower.following`, its first entry if `changed` is true.
    ///
    /// Null on failure, for a request to follow, and if the follow has been removed since.
    async fn following_edge(&self, ctx: &Context<'_>) -> Result<Option<FollowingEdge>, Error> {
        self.edge(ctx, CursorKind::Following).await
    }

    /// The entry of `user.followers`, its first entry if `changed` is true.
    ///
    /// Null on failure, for a request to follow, and if the follow has been removed since.
    async fn follower_edge(&self, ctx: &Context<'_>) -> Result<Option<FollowerEdge>, Error> {
        self.edge(ctx, CursorKind::Followers).await
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0.0)
    }
}

impl FollowPayload {
    /// The entry of the follow in one of the two lists.
    ///
    /// `None` on failure, and if the follow was removed or a user deleted since.
    async fn edge<E>(&self, ctx: &Context<'_>, kind: CursorKind) -> Result<Option<E>, Error>
    where
        E: Edge<Row = ListedUser>,
    {
        let Ok(change) = &self.0.0 else { return Ok(None) };
        let (owner, user) = match kind {
            CursorKind::Following => (change.follower, change.followed),
            _ => (change.followed, change.follower),
        };
        let (follow, user) = try_join(
            loaders(ctx).relationships.load(change.followed),
            loaders(ctx).users.load(user),
        )
        .await?;
        let entry_id = follow.and_then(|relationship| relationship.following);
        let entry = entry_id.zip(user).map(|(entry_id, user)| {
            let row = ListedUser { owner, entry_id, user: (&*user).into() };
            E::new(&row, encode_cursor(kind, &entry_id))
        });
        Ok(entry)
    }
}

pub struct UnfollowPayload(FollowOutcome);

/// Payload of `unfollow`: both users with their counts as of the mutation.
#[Object]
impl UnfollowPayload {
    /// True if a follow was removed, or a request withdrawn.
    ///
    /// False if there was neither, and on failure.
    async fn changed(&self) -> bool {
        self.0.has_changed()
    }

    /// The user whom the viewer no longer follows or asks to follow. Null on failure.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        self.0.user(ctx, |change| change.followed).await
    }

    /// The viewer's own user. Null on failure.
    async fn follower(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        self.0.user(ctx, |change| change.follower).await
    }

    /// The viewer's relationship with the user, after the mutation. Null on failure.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        Relationship::after(ctx, self.0.id(|change| change.followed)).await
    }

    /// The id of the user to remove from cached pages of `follower.following`.
    ///
    /// Null on failure.
    async fn unfollowed_user_id(&self) -> Option<ID> {
        self.0.id(|change| change.followed).map(|id| GlobalId::User(id).encode().into())
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0.0)
    }
}

#[derive(Default)]
pub struct FollowMutation;

#[Object]
impl FollowMutation {
    /// Makes the viewer follow a user, or ask to follow a protected user.
    ///
    /// All posts of a followed user appear in the viewer's timeline. A request changes nothing
    /// until the user accepts it; `relationship.followState` is then `REQUESTED`. It counts as a
    /// follow of the day.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`, `BLOCKED`, `FOLLOW_LIMIT_REACHED`. Errors:
    /// `UNAUTHENTICATED`, `INVALID_ID`.
    async fn follow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to follow.")] user: UserBy,
    ) -> Result<FollowPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::follow::follow(services(ctx), &viewer, &by);
        Ok(FollowPayload(FollowOutcome(run_mutation(ctx, write).await?)))
    }

    /// Ends the viewer's follow of a user, or withdraws the viewer's request to follow.
    ///
    /// The viewer's timeline then no longer contains the posts of the user.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unfollow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to unfollow.")] user: UserBy,
    ) -> Result<UnfollowPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::follow::unfollow(services(ctx), &viewer, &by);
        Ok(UnfollowPayload(FollowOutcome(run_mutation(ctx, write).await?)))
    }

    /// Ends a user's follow of the viewer. The user may follow the viewer again.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn remove_follower(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The follower to remove.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::follow::remove_follower(services(ctx), &viewer, &by);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }
}
