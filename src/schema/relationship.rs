//! GraphQL types of the relationship between the viewer and another user.

use async_graphql::{Context, Enum, ID, Object};
use futures_util::future::{try_join, try_join_all};

use super::connection::{multiply_cost, to_graphql_int};
use super::error::{UserErrorCode, UserErrorInterface, user_errors};
use super::scalar::DateTime;
use super::user::{User, UserBy};
use super::viewer::Viewer;
use super::{Outcome, loaders, request, viewer};
use crate::domain::RelationshipChange;
use crate::domain::follow_path::{self, Search};
use crate::error::Error;
use crate::ids::GlobalId;
use crate::loaders::Relationship as RelationshipRow;

/// Whether one user follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum FollowState {
    /// The user neither follows the other user nor asks to.
    NotFollowing,
    /// The user asks to follow the other user, who is protected and has not decided.
    Requested,
    /// The user follows the other user.
    Following,
}

pub struct Relationship {
    viewer: i64,
    user: i64,
    row: RelationshipRow,
}

/// Everything between the viewer and one other user.
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

    /// Whether the viewer follows the other user, or asks to.
    async fn follow_state(&self) -> FollowState {
        match (self.row.following, self.row.requested) {
            (Some(_), _) => FollowState::Following,
            (None, Some(_)) => FollowState::Requested,
            (None, None) => FollowState::NotFollowing,
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

    /// Whether the other user asks to follow the viewer.
    async fn requested_by(&self) -> bool {
        self.row.requested_by.is_some()
    }

    /// Whether the viewer may follow the other user or ask to, or already does.
    ///
    /// The maximum numbers of follows are not considered.
    async fn can_follow(&self) -> bool {
        self.row.can_follow()
    }

    /// Why `canFollow` is false: the code that `follow` would fail with.
    ///
    /// Null if `canFollow` is true.
    async fn cannot_follow_reason(&self) -> Option<UserErrorCode> {
        (!self.row.can_follow()).then_some(UserErrorCode::Blocked)
    }

    /// Whether the viewer blocks the other user.
    async fn blocking(&self) -> bool {
        self.row.blocking.is_some()
    }

    /// Whether the other user blocks the viewer.
    async fn blocked_by(&self) -> bool {
        self.row.blocked_by.is_some()
    }

    /// Whether the viewer mutes the other user.
    async fn muting(&self) -> bool {
        self.row.muting.is_some()
    }

    /// When the mute ends. Null if it does not end by itself, and if there is no mute.
    async fn muting_until(&self) -> Option<DateTime> {
        self.row.muting_until.map(DateTime)
    }

    /// Whether the viewer and the other user follow each other.
    async fn is_mutual(&self) -> bool {
        self.row.following.is_some() && self.row.followed_by.is_some()
    }
}

impl Relationship {
    /// The viewer's relationship with a user.
    ///
    /// `None` if the user does not exist or is the viewer, and without a viewer.
    pub async fn of_viewer(ctx: &Context<'_>, user: i64) -> Result<Option<Self>, Error> {
        let Some(viewer) = request(ctx).viewer().filter(|viewer| viewer.id() != user) else {
            return Ok(None);
        };
        let relationship = Self::load(ctx, viewer.id(), user);
        let (relationship, user) = try_join(relationship, User::after(ctx, user)).await?;
        Ok(user.map(|_| relationship))
    }

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

pub struct RelationshipPayload(pub Outcome<RelationshipChange>);

/// Payload of a mutation of the relationship between the viewer and another user.
#[Object]
impl RelationshipPayload {
    /// True if anything changed. False if nothing had to change, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The other user, with counts as of the mutation. Null on failure.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        match &self.0 {
            Ok(change) => User::after(ctx, change.user).await,
            Err(_) => Ok(None),
        }
    }

    /// The viewer, for the new counts of their user. Null on failure.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|_| Viewer::from_context(ctx))
    }

    /// The viewer's relationship with the user, after the mutation. Null on failure.
    async fn relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        Relationship::after(ctx, self.0.as_ref().ok().map(|change| change.user)).await
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

/// Maximum number of `userIds` of `relationships`.
const MAX_USERS: i32 = 100;

#[derive(Default)]
pub struct RelationshipQuery;

#[Object]
impl RelationshipQuery {
    /// The viewer's relationships with the given users, in the same order.
    ///
    /// Null for a user who does not exist, for the viewer's own user, and for anonymous requests.
    ///
    /// Errors: `INVALID_ID`, `ARGUMENT_OUT_OF_RANGE`.
    #[graphql(complexity = "multiply_cost(user_ids.len(), child_complexity)")]
    async fn relationships(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of users. At most 100.")] user_ids: Vec<ID>,
    ) -> Result<Vec<Option<Relationship>>, Error> {
        if to_graphql_int(user_ids.len() as u64) > MAX_USERS {
            return Err(Error::OutOfRange { argument: "userIds", min: 0, max: MAX_USERS });
        }
        let users = user_ids.iter().map(|id| GlobalId::user(id)).collect::<Result<Vec<_>, _>>()?;
        try_join_all(users.into_iter().map(|user| Relationship::of_viewer(ctx, user))).await
    }

    /// A shortest chain of follows from a user to another, both of them included.
    ///
    /// Each user of the list follows the next. Null if there is none of at most `maxLength`
    /// follows, or if a user does not exist. A follow is used if the viewer may see the lists of
    /// one of its two users.
    ///
    /// Errors: `INVALID_ID`, `ARGUMENT_OUT_OF_RANGE`, `PATH_TOO_EXPENSIVE` after 200000 follows.
    #[graphql(complexity = "1000 + 7 * child_complexity")]
    async fn follow_path(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user whose follow is the first.")] from: UserBy,
        #[graphql(desc = "The user who is followed last.")] to: UserBy,
        #[graphql(default = 6, desc = "Maximum number of follows: 1 to 6.")] max_length: i32,
    ) -> Result<Option<Vec<User>>, Error> {
        let (from, to) = try_join(User::find(ctx, from), User::find(ctx, to)).await?;
        let Some(ends) = from.zip(to) else { return Ok(None) };
        let search = Search {
            from: (ends.0.lists().id, ends.0.lists().following_count),
            to: (ends.1.lists().id, ends.1.lists().followers_count),
            max_length,
            max_follows: follow_path::MAX_FOLLOWS,
        };
        let viewer = request(ctx).viewer().map_or(0, |viewer| viewer.id());
        let path = follow_path::find(&loaders(ctx).snapshot, viewer, search).await?;
        let Some(path) = path else { return Ok(None) };
        try_join_all(path.into_iter().map(|id| User::load(ctx, id))).await.map(Some)
    }
}
