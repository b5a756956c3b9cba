//! GraphQL type of the relationship between the viewer and another user.

use async_graphql::{Context, Enum, ID, Object};
use futures_util::future::try_join;

use super::scalar::DateTime;
use super::user::User;
use super::{loaders, viewer};
use crate::error::Error;
use crate::ids::GlobalId;
use crate::loaders::Relationship as RelationshipRow;

/// Whether one user follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum FollowState {
    /// The user does not follow the other user.
    NotFollowing,
    /// The user follows the other user.
    Following,
}

pub struct Relationship {
    viewer: i64,
    user: i64,
    row: RelationshipRow,
}

/// The follows between the viewer and one other user, in both directions.
#[Object]
impl Relationship {
    /// Opaque, globally unique id. It is different for each pair of viewer and user.
    pub async fn id(&self) -> ID {
        GlobalId::Relationship { viewer: self.viewer, user: self.user }.encode().into()
    }

    /// The other user.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, Error> {
        User::load(ctx, self.user).await
    }

    /// Whether the viewer follows the other user.
    async fn follow_state(&self) -> FollowState {
        match self.row.following {
            Some(_) => FollowState::Following,
            None => FollowState::NotFollowing,
        }
    }

    /// When the viewer followed the other user. Null if there is no such follow.
    async fn followed_at(&self) -> Option<DateTime> {
        self.row.following.map(DateTime::from_id)
    }

    /// Whether the other user follows the viewer.
    async fn followed_by(&self) -> bool {
        self.row.followed_by.is_some()
    }

    /// When the other user followed the viewer. Null if they do not follow the viewer.
    async fn followed_by_at(&self) -> Option<DateTime> {
        self.row.followed_by.map(DateTime::from_id)
    }

    /// Whether the viewer may follow the other user, or already does.
    ///
    /// Currently always true.
    async fn can_follow(&self) -> bool {
        self.viewer != self.user
    }

    /// Whether the viewer and the other user follow each other.
    async fn is_mutual(&self) -> bool {
        self.row.following.is_some() && self.row.followed_by.is_some()
    }
}

impl Relationship {
    pub async fn load(ctx: &Context<'_>, viewer: i64, user: i64) -> Result<Self, Error> {
        let row = loaders(ctx).relationships.load(user).await?.unwrap_or_default();
        Ok(Self { viewer, user, row })
    }

    /// The relationship that a mutation has changed.
    ///
    /// `None` if the user was deleted since, or without a user.
    pub async fn after(ctx: &Context<'_>, user: Option<i64>) -> Result<Option<Self>, Error> {
        let Some(id) = user else { return Ok(None) };
        let relationship = Self::load(ctx, viewer(ctx)?.id(), id);
        let (relationship, user) = try_join(relationship, User::after(ctx, id)).await?;
        Ok(user.map(|_| relationship))
    }
}
