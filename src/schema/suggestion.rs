//! GraphQL types of suggestions of users to follow.
//!
//! The list is `Viewer.suggestions` (viewer.rs).

use async_graphql::{Context, Enum, Object};

use super::eager::Eager;
use super::follow_list::known_follower_list;
use super::relationship::RelationshipPayload;
use super::user::{User, UserBy};
use super::{loaders, run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;

/// Why a user is suggested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SuggestionReason {
    /// Users whom the viewer follows, follow the user.
    FriendsOfFriends,
    /// The user follows the viewer.
    FollowsYou,
    /// The user is among those who have most followers and were followed lately.
    Popular,
}

pub struct Suggestion(pub domain::suggestion::Suggestion);

/// A user whom the viewer may want to follow.
#[Object]
impl Suggestion {
    /// The suggested user.
    async fn user(&self) -> Eager<User> {
        Eager(User::from(&self.0.user))
    }

    /// Why the user is suggested, at least one reason.
    async fn reasons(&self) -> Vec<SuggestionReason> {
        let reasons = [
            (self.0.is_friend_of_friends, SuggestionReason::FriendsOfFriends),
            (self.0.follows_viewer, SuggestionReason::FollowsYou),
            (self.0.is_popular, SuggestionReason::Popular),
        ];
        reasons.into_iter().filter(|(is_reason, _)| *is_reason).map(|(_, reason)| reason).collect()
    }

    /// Number of followers of the user whom the viewer follows.
    ///
    /// Equals `totalCount` of the user's `knownFollowers`.
    async fn known_followers_count(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        let user = &self.0.user;
        let list = known_follower_list(user.id, user.followers_count, user.following_count);
        Ok(loaders(ctx).follow_counts.load(list).await?.unwrap_or_default())
    }
}

#[derive(Default)]
pub struct SuggestionMutation;

#[Object]
impl SuggestionMutation {
    /// Does not suggest a user to the viewer again.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn dismiss_suggestion(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user who was suggested.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::suggestion::dismiss(services(ctx), &viewer, &by);
        Ok(RelationshipPayload(run_mutation(ctx, write).await?))
    }
}
