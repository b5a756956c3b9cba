//! GraphQL mutations of moderators on accounts and posts.

use async_graphql::{Context, ID, Object};

use super::error::{UserErrorInterface, user_errors};
use super::scalar::DateTime;
use super::user::{User, UserBy};
use super::{Outcome, loaders, moderator, run_mutation, services};
use crate::domain;
use crate::domain::moderation::ModeratedUser;
use crate::error::Error;
use crate::ids::GlobalId;

/// Work for a post or a repost when a suspension begins or ends, in rows.
const ROWS_PER_POST: usize = 10;

pub struct SuspensionPayload(Outcome<ModeratedUser>);

impl SuspensionPayload {
    /// The payload of an action, whose rows are charged.
    fn new(ctx: &Context<'_>, outcome: Outcome<ModeratedUser>) -> Self {
        let rows = outcome.as_ref().map_or(0, |done| done.rows);
        let rows = usize::try_from(rows).unwrap_or_default();
        loaders(ctx).snapshot.charge_read(ROWS_PER_POST.saturating_mul(rows));
        Self(outcome)
    }
}

/// Payload of `suspendUser` and `unsuspendUser`.
#[Object]
impl SuspensionPayload {
    /// True if anything was changed.
    ///
    /// False if the user was in the requested state, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|done| done.changed)
    }

    /// The user. Null on failure.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let Ok(done) = &self.0 else { return Ok(None) };
        User::after(ctx, done.user).await
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct RemovePostPayload {
    id: ID,
    outcome: Outcome<bool>,
}

/// Payload of `removePost`.
#[Object]
impl RemovePostPayload {
    /// True if the post was deleted. False if it did not exist, and on failure.
    async fn changed(&self) -> bool {
        self.outcome == Ok(true)
    }

    /// The id of the post to remove from cached lists. Null on failure.
    async fn removed_post_id(&self) -> Option<&ID> {
        self.outcome.is_ok().then_some(&self.id)
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub struct ModerationMutation;

#[Object]
impl ModerationMutation {
    /// Suspends a user, or changes the settings of the suspension. For moderators only.
    ///
    /// The user cannot sign in, and all sessions and streams of the user end. The posts leave
    /// timelines, lists and searches. No count changes, and the end of the suspension restores
    /// everything except sessions. Moderators can suspend users, and administrators also
    /// moderators.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`, `INVALID_INPUT`. Errors: `UNAUTHENTICATED`,
    /// `FORBIDDEN`, `INVALID_ID`.
    async fn suspend_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to suspend.")] user: UserBy,
        #[graphql(desc = "When the suspension ends, within 100 years. Default: never.")]
        until: Option<DateTime>,
        #[graphql(
            desc = "Why, 1 to 500 characters. The user reads it at the next attempt to sign in."
        )]
        reason: String,
    ) -> Result<SuspensionPayload, Error> {
        let (moderator, by) = (moderator(ctx)?, user.resolve()?);
        let until = until.map(|until| until.0);
        let write = || {
            let settings = (until, reason.clone());
            domain::moderation::suspend_user(services(ctx), &moderator, &by, settings)
        };
        let outcome = run_mutation(ctx, write).await?;
        Ok(SuspensionPayload::new(ctx, outcome))
    }

    /// Ends the suspension of a user. For moderators only.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`, `INVALID_INPUT`. Errors: `UNAUTHENTICATED`,
    /// `FORBIDDEN`, `INVALID_ID`.
    async fn unsuspend_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user whose suspension ends.")] user: UserBy,
        #[graphql(desc = "Why, 1 to 500 characters. Default: no reason.")] reason: Option<String>,
    ) -> Result<SuspensionPayload, Error> {
        let (moderator, by) = (moderator(ctx)?, user.resolve()?);
        let write = || {
            let reason = reason.clone();
            domain::moderation::unsuspend_user(services(ctx), &moderator, &by, reason)
        };
        let outcome = run_mutation(ctx, write).await?;
        Ok(SuspensionPayload::new(ctx, outcome))
    }

    /// Deletes a post of another user, as `deletePost` does. For moderators only.
    ///
    /// It cannot be undone. A post that does not exist is no error.
    ///
    /// User errors: `INVALID_INPUT`. Errors: `UNAUTHENTICATED`, `FORBIDDEN`, `INVALID_ID`.
    async fn remove_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] post_id: ID,
        #[graphql(desc = "Why, 1 to 500 characters. Moderators read it in the log.")]
        reason: String,
    ) -> Result<RemovePostPayload, Error> {
        let (moderator, key) = (moderator(ctx)?, GlobalId::post(&post_id)?);
        let write =
            || domain::deletion::remove_post(services(ctx), &moderator, key, reason.clone());
        let outcome = run_mutation(ctx, write).await?;
        Ok(RemovePostPayload { id: post_id, outcome })
    }
}
