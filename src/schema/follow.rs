//! Follows as clients see them: the edges of both lists, the relationship, and the verbs.

use async_graphql::{Context, Enum, ID, Object};
use entity::user;

use super::account::Viewer;
use super::connection::{Connection, Edge, PageArgs};
use super::error::{UserErrorInterface, user_errors};
use super::prompt::Prompt;
use super::scalar::DateTime;
use super::user::{User, UserBy};
use super::{Outcome, graph, loaders, viewer, write};
use crate::error::Error;
use crate::graph;
use crate::graph::follow::FollowChange;
use crate::id::Id;
use crate::loader::{Follows, Loader, Neighbour, PageOf, Relationship as Between};
use crate::page::{List, encode_cursor};

/// A page of one of the two lists of a user.
pub async fn neighbours<E>(
    loader: &Loader<Follows>,
    list: List,
    owner: &user::Card,
    page: PageArgs,
) -> Result<Connection<E>, Error>
where
    E: Edge<Row = Neighbour, Whole = i32>,
{
    let page = PageOf { owner: owner.id, page: page.of(list)? };
    let slice = loader.load(page).await?.ok_or_else(|| Error::internal("a page is missing"))?;
    let whole = match list {
        List::Followers => owner.followers_count,
        _ => owner.following_count,
    };
    Ok(Connection { list, slice, whole })
}

macro_rules! follow_edge {
    ($name:ident, $connection:literal, $doc:literal, $node_doc:literal, $back:expr) => {
        pub struct $name {
            cursor: String,
            row: Neighbour,
        }

        #[doc = $doc]
        #[Object]
        impl $name {
            /// The place of this entry in the list.
            async fn cursor(&self) -> &str {
                &self.cursor
            }

            #[doc = $node_doc]
            async fn node(&self) -> Prompt<User> {
                Prompt(User::from(&self.row.user))
            }

            /// When the follow was made.
            async fn followed_at(&self) -> DateTime {
                DateTime::of(self.row.follow_id)
            }

            /// Whether the two follow each other, as of this answer. A follow the other way round changes it, and its
            /// payload does not tell of this entry: a client that keeps answers looks at `Relationship.isMutual`.
            async fn is_mutual(&self, ctx: &Context<'_>) -> Result<bool, Error> {
                let (owner, user) = (self.row.owner, self.row.user.id);
                Ok(loaders(ctx).pairs.load(($back)(owner, user)).await?.is_some())
            }
        }

        impl Edge for $name {
            const CONNECTION: &'static str = $connection;
            type Row = Neighbour;
            type Node = User;
            type Position = i64;
            type Whole = i32;

            fn new(row: &Neighbour, cursor: String) -> Self {
                Self { cursor, row: row.clone() }
            }

            fn position(row: &Neighbour) -> i64 {
                row.follow_id
            }

            async fn load(row: &Neighbour, _: &Context<'_>) -> Result<User, Error> {
                Ok(User::from(&row.user))
            }

            async fn count(count: &i32, _: &Context<'_>) -> Result<i32, Error> {
                Ok(*count)
            }
        }
    };
}

follow_edge!(
    FollowerEdge,
    "FollowerConnection",
    "A follower of a user.",
    "The follower.",
    |owner, user| (owner, user)
);
follow_edge!(
    FollowingEdge,
    "FollowingConnection",
    "A user whom another one follows.",
    "The followed user.",
    |owner, user| (user, owner)
);

/// Whether one user follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum FollowState {
    /// No follow.
    NotFollowing,
    /// A follow in force.
    Following,
}

pub struct Relationship {
    viewer: i64,
    user: i64,
    between: Between,
}

/// Everything between the viewer and one other user.
#[Object]
impl Relationship {
    /// Opaque and globally unique; another viewer's relationship with the same user has another id.
    pub async fn id(&self) -> ID {
        Id::Relationship { viewer: self.viewer, user: self.user }.encode().into()
    }

    /// The other user.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, Error> {
        User::load(ctx, self.user).await
    }

    /// Whether the viewer follows the other user.
    async fn follow_state(&self) -> FollowState {
        match self.between.following {
            Some(_) => FollowState::Following,
            None => FollowState::NotFollowing,
        }
    }

    /// Since when the viewer follows the other user; null when they do not.
    async fn followed_at(&self) -> Option<DateTime> {
        self.between.following.map(DateTime::of)
    }

    /// Whether the other user follows the viewer.
    async fn followed_by(&self) -> bool {
        self.between.followed_by.is_some()
    }

    /// Since when the other user follows the viewer; null when they do not.
    async fn followed_by_at(&self) -> Option<DateTime> {
        self.between.followed_by.map(DateTime::of)
    }

    /// Whether `follow` would be allowed, or is in force already. Nothing forbids it between two different
    /// users.
    async fn can_follow(&self) -> bool {
        self.viewer != self.user
    }

    /// Whether the two follow each other.
    async fn is_mutual(&self) -> bool {
        self.between.following.is_some() && self.between.followed_by.is_some()
    }
}

impl Relationship {
    pub async fn load(ctx: &Context<'_>, viewer: i64, user: i64) -> Result<Self, Error> {
        let between = loaders(ctx).relationships.load(user).await?.unwrap_or_default();
        Ok(Self { viewer, user, between })
    }

    async fn after(ctx: &Context<'_>, user: &user::Model) -> Result<Option<Self>, Error> {
        Ok(Some(Self::load(ctx, viewer(ctx)?.id(), user.id).await?))
    }
}

pub struct FollowPayload(Outcome<FollowChange>);

/// The answer to `follow`: both users with their counts as of this mutation, and the new edge ready to
/// be put into a client's lists.
#[Object]
impl FollowPayload {
    /// Whether the follow is new. False when it was there already, a success all the same.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The followed user.
    async fn user(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.followed))
    }

    /// The viewer's own user.
    async fn follower(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.follower))
    }

    /// What lies between the viewer and the followed user now.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match &self.0 {
            Ok(change) => Relationship::after(ctx, &change.followed).await,
            Err(_) => Ok(None),
        }
    }

    /// The entry to put at the head of `follower.following`.
    async fn following_edge(&self) -> Option<FollowingEdge> {
        self.edge(List::Following)
    }

    /// The entry to put at the head of `user.followers`.
    async fn follower_edge(&self) -> Option<FollowerEdge> {
        self.edge(List::Followers)
    }

    /// Why nothing was changed; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

impl FollowPayload {
    fn edge<E>(&self, list: List) -> Option<E>
    where
        E: Edge<Row = Neighbour>,
    {
        let Ok(FollowChange { follower, followed, edge: Some(edge), .. }) = &self.0 else {
            return None;
        };
        let (owner, user) = match list {
            List::Following => (follower, followed),
            _ => (followed, follower),
        };
        let row = Neighbour { owner: owner.id, follow_id: edge.id, user: user.into() };
        Some(E::new(&row, encode_cursor(list, &edge.id)))
    }
}

pub struct UnfollowPayload(Outcome<FollowChange>);

/// The answer to `unfollow`: both users with their counts as of this mutation.
#[Object]
impl UnfollowPayload {
    /// Whether a follow was removed. False when there was none, a success all the same.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The user who is followed no longer.
    async fn user(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.followed))
    }

    /// The viewer's own user.
    async fn follower(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.follower))
    }

    /// What lies between the viewer and the other user now.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match &self.0 {
            Ok(change) => Relationship::after(ctx, &change.followed).await,
            Err(_) => Ok(None),
        }
    }

    /// The id of the user to take out of `follower.following`.
    async fn unfollowed_user_id(&self) -> Option<ID> {
        self.0.as_ref().ok().map(|change| Id::User(change.followed.id).encode().into())
    }

    /// Why nothing was changed; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct RelationshipPayload(Outcome<FollowChange>);

/// The answer to `removeFollower`: what lies between the viewer and the other user now.
#[Object]
impl RelationshipPayload {
    /// Whether anything changed. False when it was so already, a success all the same.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The other user, with counts as of this mutation.
    async fn user(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.follower))
    }

    /// The viewer, with counts as of this mutation.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|_| Viewer::of(ctx))
    }

    /// What lies between the viewer and the other user now.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match &self.0 {
            Ok(change) => Relationship::after(ctx, &change.follower).await,
            Err(_) => Ok(None),
        }
    }

    /// Why nothing was changed; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct FollowMutation;

#[Object]
impl FollowMutation {
    /// The viewer follows a user; from now on their posts are in the viewer's timeline.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn follow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to follow.")] user: UserBy,
    ) -> Result<FollowPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let change = || graph::follow::follow(graph(ctx), &viewer, &by);
        Ok(FollowPayload(write(ctx, change).await?))
    }

    /// The viewer follows a user no longer; their posts leave the viewer's timeline.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn unfollow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to follow no longer.")] user: UserBy,
    ) -> Result<UnfollowPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let change = || graph::follow::unfollow(graph(ctx), &viewer, &by);
        Ok(UnfollowPayload(write(ctx, change).await?))
    }

    /// A user follows the viewer no longer. They are not told, and may follow again.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn remove_follower(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to remove from the viewer's followers.")] user: UserBy,
    ) -> Result<RelationshipPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let change = || graph::follow::remove_follower(graph(ctx), &viewer, &by);
        Ok(RelationshipPayload(write(ctx, change).await?))
    }
}
