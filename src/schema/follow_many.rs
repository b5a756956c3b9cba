//! GraphQL types of follows of many users.

use async_graphql::{Context, Enum, ID, Object};

use super::connection::multiply_cost;
use super::error::{UserErrorInterface, user_errors};
use super::relationship::Relationship;
use super::user::User;
use super::viewer::Viewer;
use super::{Outcome, run_mutation, services, viewer};
use crate::domain;
use crate::domain::follow_many::FollowResult;
use crate::error::Error;
use crate::ids::GlobalId;

/// What happened to a user of `followMany`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum FollowManyStatus {
    /// The viewer follows the user now.
    Followed,
    /// The viewer has asked to follow the user, who is protected.
    Requested,
    /// Nothing had to change: the viewer followed the user, or had asked to, before.
    Unchanged,
    /// The viewer may not follow the user. `error` says why.
    Refused,
}

pub struct FollowManyResult(FollowResult);

/// The result of `followMany` for one user.
#[Object]
impl FollowManyResult {
    /// What happened.
    async fn status(&self) -> FollowManyStatus {
        match self.0 {
            FollowResult::Followed(_) => FollowManyStatus::Followed,
            FollowResult::Requested(_) => FollowManyStatus::Requested,
            FollowResult::Unchanged(_) => FollowManyStatus::Unchanged,
            FollowResult::Refused(_) => FollowManyStatus::Refused,
        }
    }

    /// The user, with counts as of the mutation. Null if `status` is `REFUSED`.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        match self.id() {
            Some(id) => User::after(ctx, id).await,
            None => Ok(None),
        }
    }

    /// The viewer's relationship with the user, after the mutation.
    ///
    /// Null if `status` is `REFUSED`.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        Relationship::after(ctx, self.id()).await
    }

    /// Why the viewer may not follow the user. Null unless `status` is `REFUSED`.
    async fn error(&self) -> Option<UserErrorInterface> {
        match &self.0 {
            FollowResult::Refused(error) => Some(error.into()),
            _ => None,
        }
    }
}

impl FollowManyResult {
    fn id(&self) -> Option<i64> {
        match self.0 {
            FollowResult::Followed(id)
            | FollowResult::Requested(id)
            | FollowResult::Unchanged(id) => Some(id),
            FollowResult::Refused(_) => None,
        }
    }
}

pub struct FollowManyPayload(Outcome<Vec<FollowResult>>);

/// Payload of `followMany`.
#[Object]
impl FollowManyPayload {
    /// True if a follow or a request is new.
    async fn changed(&self) -> bool {
        let is_new = |result: &FollowResult| {
            matches!(result, FollowResult::Followed(_) | FollowResult::Requested(_))
        };
        self.0.iter().flatten().any(is_new)
    }

    /// A result for each of `userIds`, in the same order.
    async fn results(&self) -> Vec<FollowManyResult> {
        self.0.iter().flatten().cloned().map(FollowManyResult).collect()
    }

    /// The viewer, for the new counts of their user. Null on failure.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|_| Viewer::from_context(ctx))
    }

    /// Expected failures of the whole mutation. Those of single users are in `results`.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct FollowManyMutation;

#[Object]
impl FollowManyMutation {
    /// Makes the viewer follow several users in one transaction.
    ///
    /// The viewer asks to follow those who are protected.
    ///
    /// The rules of `follow` are applied to each user, in the order of `userIds`. A user who cannot
    /// be followed does not prevent the follows of the others.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`, `ARGUMENT_OUT_OF_RANGE`.
    #[graphql(complexity = "multiply_cost(user_ids.len(), child_complexity)")]
    async fn follow_many(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of the users to follow, 1 to 100.")] user_ids: Vec<ID>,
    ) -> Result<FollowManyPayload, Error> {
        let viewer = viewer(ctx)?;
        let users = user_ids.iter().map(|id| GlobalId::user(id)).collect::<Result<Vec<_>, _>>()?;
        let write = || domain::follow_many::follow_many(services(ctx), &viewer, &users);
        Ok(FollowManyPayload(run_mutation(ctx, write).await?))
    }
}
