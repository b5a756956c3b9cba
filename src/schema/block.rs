//! GraphQL types of blocks. Only the blocker can read their list.
//!
//! The list itself is `Viewer.blockedUsers` (account.rs).

use async_graphql::{Context, Object};

use super::connection::{Edge, to_graphql_int};
use super::eager::Eager;
use super::relationship::RelationshipPayload;
use super::scalar::DateTime;
use super::text::ShortText;
use super::user::{User, UserBy};
use super::{loaders, run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;
use crate::loaders::ListedUser;

pub struct BlockedUserEdge {
    cursor: String,
    row: ListedUser,
}

/// An entry of the users whom the viewer blocks.
#[Object]
impl BlockedUserEdge {
    /// The cursor of this entry.
    async fn cursor(&self) -> ShortText<'_> {
        self.cursor.as_str().into()
    }

    /// The blocked user.
    async fn node(&self) -> Eager<User> {
        Eager(User::from(&self.row.user))
    }

    /// When the viewer blocked the user.
    async fn blocked_at(&self) -> DateTime {
        DateTime::from_id(self.row.entry_id)
    }
}

impl Edge for BlockedUserEdge {
    const CONNECTION: &'static str = "BlockedUserConnection";
    type Row = ListedUser;
    type Node = User;
    type Key = i64;
    type CountSource = ();

    fn new(row: &ListedUser, cursor: String) -> Self {
        Self { cursor, row: row.clone() }
    }

    fn key(row: &ListedUser) -> i64 {
        row.entry_id
    }

    async fn load(row: &ListedUser, _: &Context<'_>) -> Result<User, Error> {
        Ok(User::from(&row.user))
    }

    async fn count((): &(), ctx: &Context<'_>) -> Result<i32, Error> {
        domain::block::count(&loaders(ctx).snapshot, &*viewer(ctx)?).await.map(to_graphql_int)
    }
}

#[derive(Default)]
pub struct BlockMutation;

#[Object]
impl BlockMutation {
    /// Blocks a user for the viewer.
    ///
    /// Follows between the two users end in both directions. While the block exists, neither can
    /// follow the other. Public data of each stays readable for the other.
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
