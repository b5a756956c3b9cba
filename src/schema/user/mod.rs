//! GraphQL types of users: the object, and the fields of its values.
//!
//! `lists` has the fields of its lists, and `directory` the list of all users.
//!
//! Rows of lists have a summary of few columns. The other fields of a [`User`] load the whole row,
//! in one statement for all users of a response.

mod directory;
mod lists;

use std::sync::Arc;

use async_graphql::{Context, ID, MergedObject, Object, OneofObject};
use entity::user;
use md5::{Digest as _, Md5};

use crate::error::Error;
use crate::ids::GlobalId;
use crate::schema::relationship::Relationship;
use crate::schema::scalar::{DateTime, Url};
use crate::schema::text::{ShortText, Text};
use crate::schema::{loaders, request};
pub use lists::Lists;

pub use directory::UserQuery;

/// Allowed values of `size` of `avatarUrl`, in pixels.
const AVATAR_SIZES: std::ops::RangeInclusive<i32> = 1..=2048;

/// A reference to a user. Set exactly one of the fields.
#[derive(OneofObject)]
pub enum UserBy {
    /// The user's id.
    Id(ID),
    /// The username. Case-insensitive.
    Username(String),
}

impl UserBy {
    /// # Errors
    /// [`Error::InvalidId`] when the id is not that of a user.
    pub fn resolve(self) -> Result<user::UserRef, Error> {
        Ok(match self {
            Self::Id(id) => user::UserRef::Id(GlobalId::user(&id)?),
            Self::Username(username) => user::UserRef::Username(username),
        })
    }
}

/// A user with their public profile.
#[derive(Clone, MergedObject)]
pub struct User(Profile, Lists);

/// The fields of a user that are values.
#[derive(Clone)]
struct Profile {
    summary: user::UserSummary,
    /// The whole row, if it was read already.
    row: Option<Arc<user::Model>>,
}

impl From<Arc<user::Model>> for User {
    fn from(user: Arc<user::Model>) -> Self {
        let summary = user::UserSummary::from(&*user);
        let lists = Lists::from(&summary);
        Self(Profile { summary, row: Some(user) }, lists)
    }
}

impl From<&user::Model> for User {
    fn from(user: &user::Model) -> Self {
        Arc::new(user.clone()).into()
    }
}

impl From<&user::UserSummary> for User {
    fn from(summary: &user::UserSummary) -> Self {
        Self(Profile { summary: summary.clone(), row: None }, summary.into())
    }
}

#[Object]
impl Profile {
    /// Opaque, globally unique id.
    async fn id(&self) -> ID {
        GlobalId::User(self.summary.id).encode().into()
    }

    /// 1 to 30 ASCII letters, digits and underscores. Unique without regard to case.
    async fn username(&self) -> ShortText<'_> {
        self.summary.username.as_str().into()
    }

    /// The name to display, a single line of 1 to 50 characters. Null for none.
    async fn display_name(&self) -> Option<ShortText<'_>> {
        self.summary.display_name.as_deref().map(ShortText::from)
    }

    /// The user's description of themselves, 1 to 500 characters. Null if not set.
    ///
    /// Errors: `QUERY_TOO_COMPLEX` if the response exceeds its maximum of text.
    async fn about_me(&self, ctx: &Context<'_>) -> Result<Option<Text<'_>>, Error> {
        Ok(self.full_row(ctx).await?.about_me.clone().map(Text::from))
    }

    /// URL of the user's Gravatar picture, by the MD5 hash of the e-mail address.
    ///
    /// Gravatar returns a geometric pattern if the user has no picture there.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    async fn avatar_url(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 128, desc = "Width and height in pixels, 1 to 2048.")] size: i32,
    ) -> Result<Url, Error> {
        if !AVATAR_SIZES.contains(&size) {
            let (min, max) = (*AVATAR_SIZES.start(), *AVATAR_SIZES.end());
            return Err(Error::OutOfRange { argument: "size", min, max });
        }
        let hash =
            u128::from_be_bytes(Md5::digest(self.full_row(ctx).await?.email.as_bytes()).into());
        Ok(Url(format!("https://www.gravatar.com/avatar/{hash:032x}?d=identicon&s={size}")))
    }

    /// When the account was created.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime, Error> {
        Ok(DateTime(self.full_row(ctx).await?.created_at))
    }

    /// When the user registered, or last sent a request with a token.
    ///
    /// Null if the user has done neither, as after an import. Updated at most once per minute.
    async fn last_seen_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>, Error> {
        Ok(self.full_row(ctx).await?.last_seen_at.map(DateTime))
    }

    /// Number of users who follow this user.
    ///
    /// Equals the length of `followers` if `viewerCanSee` is true.
    async fn followers_count(&self) -> i32 {
        self.summary.followers_count
    }

    /// Number of users that this user follows.
    ///
    /// Equals the length of `following` if `viewerCanSee` is true.
    async fn following_count(&self) -> i32 {
        self.summary.following_count
    }

    /// Number of posts of this user.
    ///
    /// Equals the length of `posts` if `viewerCanSee` is true.
    async fn posts_count(&self) -> i32 {
        self.summary.posts_count
    }

    /// Whether this is the signed-in user. False for anonymous requests.
    async fn is_viewer(&self, ctx: &Context<'_>) -> bool {
        self.is_current_viewer(ctx)
    }

    /// Whether the viewer follows this user. False for anonymous requests.
    async fn viewer_is_following(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        let row = loaders(ctx).relationships.load(self.summary.id).await?;
        Ok(row.unwrap_or_default().following.is_some())
    }

    /// Whether this user follows the viewer. False for anonymous requests.
    async fn is_following_viewer(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        let row = loaders(ctx).relationships.load(self.summary.id).await?;
        Ok(row.unwrap_or_default().followed_by.is_some())
    }

    /// Whether this account is protected. Its follows then need the user's consent.
    ///
    /// `posts`, `timeline`, `followers` and `following` are then for the user and the user's
    /// followers only. The profile and the counts are public.
    async fn is_protected(&self) -> bool {
        self.summary.is_protected
    }

    /// Whether the viewer may see `posts`, `timeline`, `followers` and `following`.
    ///
    /// True unless the account is protected, is not the viewer's own, and the viewer does not
    /// follow it.
    async fn viewer_can_see(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        can_see(ctx, self.summary.id, self.summary.is_protected).await
    }

    /// Whether the viewer may follow this user or ask to, or already does.
    ///
    /// The maximum numbers of follows are not considered. False for the viewer's own user and for
    /// anonymous requests.
    async fn viewer_can_follow(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        if request(ctx).viewer().is_none() || self.is_current_viewer(ctx) {
            return Ok(false);
        }
        let row = loaders(ctx).relationships.load(self.summary.id).await?;
        Ok(row.unwrap_or_default().can_follow())
    }

    /// The viewer's relationship with this user.
    ///
    /// Null for the viewer's own user and for anonymous requests.
    async fn viewer_relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match request(ctx).viewer() {
            Some(viewer) if viewer.id() != self.summary.id => {
                Ok(Some(Relationship::load(ctx, viewer.id(), self.summary.id).await?))
            }
            _ => Ok(None),
        }
    }
}

impl Profile {
    fn is_current_viewer(&self, ctx: &Context<'_>) -> bool {
        request(ctx).viewer().is_some_and(|viewer| viewer.id() == self.summary.id)
    }

    /// The whole row, loaded unless it was read already.
    async fn full_row(&self, ctx: &Context<'_>) -> Result<Arc<user::Model>, Error> {
        match &self.row {
            Some(user) => Ok(Arc::clone(user)),
            None => load_row(ctx, self.summary.id).await,
        }
    }
}

impl User {
    /// The global id, as the interface `Node` requests it.
    #[expect(clippy::unused_async, reason = "the interface awaits it")]
    pub async fn id(&self, _: &Context<'_>) -> async_graphql::Result<ID> {
        Ok(GlobalId::User(self.0.summary.id).encode().into())
    }

    /// A user that a row refers to.
    ///
    /// # Errors
    /// [`Error::Deleted`] when the row was read before this snapshot, and the user was deleted.
    pub async fn load(ctx: &Context<'_>, id: i64) -> Result<Self, Error> {
        Ok(load_row(ctx, id).await?.into())
    }

    /// The user of an argument, if the user exists.
    ///
    /// # Errors
    /// [`Error::InvalidId`]; any error of the database.
    pub async fn find(ctx: &Context<'_>, by: UserBy) -> Result<Option<Self>, Error> {
        let user = match by.resolve()? {
            user::UserRef::Id(id) => loaders(ctx).users.load(id).await?,
            user::UserRef::Username(name) => {
                loaders(ctx).usernames.load(name.to_ascii_lowercase()).await?
            }
        };
        Ok(user.map(Self::from))
    }

    /// The fields that are lists, with the counts that they depend on.
    pub fn lists(&self) -> &Lists {
        &self.1
    }

    /// A user whom a mutation has changed. `None` if the user was deleted since.
    pub async fn after(ctx: &Context<'_>, id: i64) -> Result<Option<Self>, Error> {
        Ok(loaders(ctx).users.load(id).await?.map(Self::from))
    }

    /// The whole row, loaded unless it was read already.
    pub async fn full_row(&self, ctx: &Context<'_>) -> Result<Arc<user::Model>, Error> {
        self.0.full_row(ctx).await
    }
}

/// Whether the viewer may see the posts and lists of a user.
///
/// This is the scope `visible_to_sql` of the loaders, for a single user.
pub async fn can_see(ctx: &Context<'_>, user: i64, is_protected: bool) -> Result<bool, Error> {
    if !is_protected || request(ctx).viewer().is_some_and(|viewer| viewer.id() == user) {
        return Ok(true);
    }
    let relationship = loaders(ctx).relationships.load(user).await?;
    Ok(relationship.unwrap_or_default().following.is_some())
}

async fn load_row(ctx: &Context<'_>, id: i64) -> Result<Arc<user::Model>, Error> {
    loaders(ctx).users.load(id).await?.ok_or(Error::Deleted)
}
