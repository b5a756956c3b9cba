//! GraphQL types of follows: edges of both lists, relationship and mutations.
//!
//! A user's `followers` and `following` are pages of one loader each. Their `totalCount` is the
//! count stored with the user.

use async_graphql::{Context, Enum, ID, Object};
use entity::user;

use super::account::Viewer;
use super::connection::{Connection, Edge, PageArgs, no_page};
use super::eager::Eager;
use super::error::{UserErrorInterface, user_errors};
use super::scalar::DateTime;
use super::text::ShortText;
use super::user::{User, UserBy};
use super::{Outcome, loaders, run_mutation, services, viewer};
use crate::domain;
use crate::domain::follow::FollowChange;
use crate::error::Error;
use crate::ids::GlobalId;
use crate::loaders::{FollowRow, Follows, Loader, PageKey, Relationship as RelationshipRow};
use crate::pagination::{CursorKind, encode_cursor};

/// A page of the followers or the followed users of `owner`.
pub async fn follow_page<E>(
    loader: &Loader<Follows>,
    kind: CursorKind,
    owner: &user::UserSummary,
    args: PageArgs,
) -> Result<Connection<E>, Error>
where
    E: Edge<Row = FollowRow, CountSource = i32>,
{
    let key = PageKey { owner: owner.id, page: args.parse(kind)? };
    let page = loader.load(key).await?.ok_or_else(no_page)?;
    let count = match kind {
        CursorKind::Followers => owner.followers_count,
        _ => owner.following_count,
    };
    Ok(Connection { kind, page, count_source: count })
}

/// Defines the edge type of one list.
///
/// `$reverse` maps the list's owner and the entry's user to the (follower, followed) pair of the
/// opposite direction.
macro_rules! follow_edge {
    ($name:ident, $connection:literal, $doc:literal, $node_doc:literal, $reverse:expr) => {
        pub struct $name {
            cursor: String,
            row: FollowRow,
        }

        #[doc = $doc]
        #[Object]
        impl $name {
            /// The cursor of this entry.
            async fn cursor(&self) -> ShortText<'_> {
                self.cursor.as_str().into()
            }

            #[doc = $node_doc]
            async fn node(&self) -> Eager<User> {
                Eager(User::from(&self.row.user))
            }

            /// When the follow was made.
            async fn followed_at(&self) -> DateTime {
                DateTime::from_id(self.row.follow_id)
            }

            /// Whether the two users follow each other, as of this response. Payloads of later
            /// mutations update `Relationship.isMutual` in a client's cache, but not this field.
            async fn is_mutual(&self, ctx: &Context<'_>) -> Result<bool, Error> {
                let (owner, user) = (self.row.owner, self.row.user.id);
                Ok(loaders(ctx).follow_exists.load(($reverse)(owner, user)).await?.is_some())
            }
        }

        impl Edge for $name {
            const CONNECTION: &'static str = $connection;
            type Row = FollowRow;
            type Node = User;
            type Key = i64;
            type CountSource = i32;

            fn new(row: &FollowRow, cursor: String) -> Self {
                Self { cursor, row: row.clone() }
            }

            fn key(row: &FollowRow) -> i64 {
                row.follow_id
            }

            async fn load(row: &FollowRow, _: &Context<'_>) -> Result<User, Error> {
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

    async fn after(ctx: &Context<'_>, user: &user::Model) -> Result<Option<Self>, Error> {
        Ok(Some(Self::load(ctx, viewer(ctx)?.id(), user.id).await?))
    }
}

pub struct FollowPayload(Outcome<FollowChange>);

/// Payload of `follow`.
///
/// It has both users with their counts as of the mutation, and the edges for client caches.
#[Object]
impl FollowPayload {
    /// True if the follow is new. False if it already existed, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The followed user. Null on failure.
    async fn user(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.followed))
    }

    /// The viewer's own user. Null on failure.
    async fn follower(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.follower))
    }

    /// The viewer's relationship with the user, after the mutation. Null on failure.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match &self.0 {
            Ok(change) => Relationship::after(ctx, &change.followed).await,
            Err(_) => Ok(None),
        }
    }

    /// The entry of `follower.following`, its first entry if `changed` is true.
    ///
    /// Null on failure.
    async fn following_edge(&self) -> Option<FollowingEdge> {
        self.edge(CursorKind::Following)
    }

    /// The entry of `user.followers`, its first entry if `changed` is true.
    ///
    /// Null on failure.
    async fn follower_edge(&self) -> Option<FollowerEdge> {
        self.edge(CursorKind::Followers)
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

impl FollowPayload {
    fn edge<E>(&self, kind: CursorKind) -> Option<E>
    where
        E: Edge<Row = FollowRow>,
    {
        let Ok(FollowChange { follower, followed, edge: Some(edge), .. }) = &self.0 else {
            return None;
        };
        let (owner, user) = match kind {
            CursorKind::Following => (follower, followed),
            _ => (followed, follower),
        };
        let row = FollowRow { owner: owner.id, follow_id: edge.id, user: user.into() };
        Some(E::new(&row, encode_cursor(kind, &edge.id)))
    }
}

pub struct UnfollowPayload(Outcome<FollowChange>);

/// Payload of `unfollow`: both users with their counts as of the mutation.
#[Object]
impl UnfollowPayload {
    /// True if a follow was removed. False if there was none, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The user that the viewer no longer follows. Null on failure.
    async fn user(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.followed))
    }

    /// The viewer's own user. Null on failure.
    async fn follower(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.follower))
    }

    /// The viewer's relationship with the user, after the mutation. Null on failure.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match &self.0 {
            Ok(change) => Relationship::after(ctx, &change.followed).await,
            Err(_) => Ok(None),
        }
    }

    /// The id of the user to remove from cached pages of `follower.following`.
    ///
    /// Null on failure.
    async fn unfollowed_user_id(&self) -> Option<ID> {
        self.0.as_ref().ok().map(|change| GlobalId::User(change.followed.id).encode().into())
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct RelationshipPayload(Outcome<FollowChange>);

/// Payload of `removeFollower`.
#[Object]
impl RelationshipPayload {
    /// True if the follow was removed. False if there was none, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The other user, with counts as of the mutation. Null on failure.
    async fn user(&self) -> Option<User> {
        self.0.as_ref().ok().map(|change| User::from(&change.follower))
    }

    /// The viewer, for the new `followersCount` of their user. Null on failure.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|_| Viewer::from_context(ctx))
    }

    /// The viewer's relationship with the user, after the mutation. Null on failure.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match &self.0 {
            Ok(change) => Relationship::after(ctx, &change.follower).await,
            Err(_) => Ok(None),
        }
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct FollowMutation;

#[Object]
impl FollowMutation {
    /// Makes the viewer follow a user.
    ///
    /// All posts of the user then appear in the viewer's timeline.
    ///
    /// User errors: `NOT_FOUND`, `SELF_TARGET`, `FOLLOW_LIMIT_REACHED`. Errors: `UNAUTHENTICATED`,
    /// `INVALID_ID`.
    async fn follow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to follow.")] user: UserBy,
    ) -> Result<FollowPayload, Error> {
        let (viewer, by) = (viewer(ctx)?, user.resolve()?);
        let write = || domain::follow::follow(services(ctx), &viewer, &by);
        Ok(FollowPayload(run_mutation(ctx, write).await?))
    }

    /// Ends the viewer's follow of a user.
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
        Ok(UnfollowPayload(run_mutation(ctx, write).await?))
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
