//! Users as clients see them, one by one and in the directory.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Object, OneofObject};
use entity::user;
use md5::{Digest as _, Md5};

use super::connection::{Connection, Edge, PageArgs, cost, cost_of_posts, int, with_count};
use super::follow::{FollowerEdge, FollowingEdge, Relationship, neighbours};
use super::post::PostEdge;
use super::scalar::{DateTime, Url};
use super::timeline::TimelineConnection;
use super::{caller, loaders};
use crate::error::Error;
use crate::graph;
use crate::id::Id;
use crate::loader::{MANY, PageOf, TimelineOf};
use crate::page::List;

const AVATAR_SIZES: std::ops::RangeInclusive<i32> = 1..=2048;

/// How to name a user: by exactly one of the two.
#[derive(OneofObject)]
pub enum UserBy {
    /// The user's id.
    Id(ID),
    /// The username; case makes no difference.
    Username(String),
}

impl UserBy {
    /// # Errors
    /// `INVALID_ID` when the id is not a user's.
    pub fn resolve(self) -> Result<user::By, Error> {
        Ok(match self {
            Self::Id(id) => user::By::Id(Id::user(&id)?),
            Self::Username(username) => user::By::Username(username),
        })
    }
}

/// A user of whom the card is at hand, and the whole row if it was read already.
#[derive(Clone)]
pub struct User {
    card: user::Card,
    whole: Option<Arc<user::Model>>,
}

impl From<Arc<user::Model>> for User {
    fn from(user: Arc<user::Model>) -> Self {
        Self { card: (&*user).into(), whole: Some(user) }
    }
}

impl From<&user::Model> for User {
    fn from(user: &user::Model) -> Self {
        Arc::new(user.clone()).into()
    }
}

impl From<&user::Card> for User {
    fn from(card: &user::Card) -> Self {
        Self { card: card.clone(), whole: None }
    }
}

/// Somebody with an account: their public side.
#[Object]
impl User {
    /// Opaque and globally unique.
    pub async fn id(&self) -> ID {
        Id::User(self.card.id).encode().into()
    }

    /// Unique without regard to case, shown as typed: 1 to 30 letters, digits and underscores.
    async fn username(&self) -> &str {
        &self.card.username
    }

    /// The name to show, 1 to 50 characters; null when the user has not given one.
    async fn display_name(&self) -> Option<&str> {
        self.card.display_name.as_deref()
    }

    /// What the user says about themselves, 1 to 500 characters; null when that is nothing.
    async fn about_me(&self, ctx: &Context<'_>) -> Result<Option<String>, Error> {
        let user = self.whole(ctx).await?;
        user.about_me.as_deref().map(|text| caller(ctx).spend(text).map(str::to_owned)).transpose()
    }

    /// The address of a picture at Gravatar, made from the MD5 of the trimmed, lower-cased e-mail
    /// address; a geometric pattern when the user has none there.
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
        let hash = u128::from_be_bytes(Md5::digest(self.whole(ctx).await?.email.as_bytes()).into());
        Ok(Url(format!("https://www.gravatar.com/avatar/{hash:032x}?d=identicon&s={size}")))
    }

    /// When the account was made.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime, Error> {
        Ok(DateTime(self.whole(ctx).await?.created_at))
    }

    /// When the user last sent a request with a token; up to a minute behind, null when never.
    async fn last_seen_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>, Error> {
        Ok(self.whole(ctx).await?.last_seen_at.map(DateTime))
    }

    /// How many users follow this one: always the length of `followers`.
    async fn followers_count(&self) -> i32 {
        self.card.followers_count
    }

    /// How many users this one follows: always the length of `following`.
    async fn following_count(&self) -> i32 {
        self.card.following_count
    }

    /// How many posts this user has written: always the length of `posts`.
    async fn posts_count(&self) -> i32 {
        self.card.posts_count
    }

    /// This user's own posts, newest first.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost_of_posts(first, last, child_complexity)")]
    async fn posts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many entries, from the start or from `after`: 1 to 100; 20 without `last`."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(
            desc = "How many entries, back from the end or from `before`: 1 to 100. Not with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<PostEdge>, Error> {
        let page = PageArgs { first, after, last, before }.of(List::UserPosts)?;
        let page = PageOf { owner: self.card.id, page };
        let slice = loaders(ctx)
            .post_pages
            .load(page)
            .await?
            .ok_or_else(|| Error::internal("a page is missing"))?;
        Ok(Connection { list: List::UserPosts, slice, whole: Some(self.card.posts_count) })
    }

    /// The users who follow this one, newest follow first.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn followers(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many entries, from the start or from `after`: 1 to 100; 20 without `last`."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(
            desc = "How many entries, back from the end or from `before`: 1 to 100. Not with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<FollowerEdge>, Error> {
        let page = PageArgs { first, after, last, before };
        neighbours(&loaders(ctx).followers, List::Followers, &self.card, page).await
    }

    /// The users whom this one follows, newest follow first.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn following(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many entries, from the start or from `after`: 1 to 100; 20 without `last`."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(
            desc = "How many entries, back from the end or from `before`: 1 to 100. Not with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<FollowingEdge>, Error> {
        let page = PageArgs { first, after, last, before };
        neighbours(&loaders(ctx).following, List::Following, &self.card, page).await
    }

    /// Own posts and posts of the users this user follows, newest first, back to the first one ever.
    /// Computed when it is read: right on the very next read after any follow, unfollow or post.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost_of_posts(first, last, child_complexity)")]
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many entries, from the start or from `after`: 1 to 100; 20 without `last`."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(
            desc = "How many entries, back from the end or from `before`: 1 to 100. Not with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<TimelineConnection, Error> {
        let page = PageArgs { first, after, last, before }.of(List::Timeline)?;
        let of = PageOf { owner: self.card.id, page };
        let follows_many = self.card.following_count >= MANY;
        let slice = loaders(ctx)
            .timelines
            .load(TimelineOf { page: of.clone(), follows_many })
            .await?
            .ok_or_else(|| Error::internal("a page is missing"))?;
        Ok(TimelineConnection { of, slice })
    }

    /// Whether this is the signed-in user.
    async fn is_viewer(&self, ctx: &Context<'_>) -> bool {
        self.is_own(ctx)
    }

    /// Whether the viewer follows this user; false when not signed in.
    async fn viewer_is_following(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        let between = loaders(ctx).relationships.load(self.card.id).await?;
        Ok(between.unwrap_or_default().following.is_some())
    }

    /// Whether this user follows the viewer; false when not signed in.
    async fn is_following_viewer(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        let between = loaders(ctx).relationships.load(self.card.id).await?;
        Ok(between.unwrap_or_default().followed_by.is_some())
    }

    /// Whether `follow` would be allowed, or is in force already: false for the viewer's own user and
    /// when not signed in.
    async fn viewer_can_follow(&self, ctx: &Context<'_>) -> bool {
        caller(ctx).viewer().is_some() && !self.is_own(ctx)
    }

    /// What lies between the viewer and this user; null when not signed in and for the viewer's own
    /// user.
    async fn viewer_relationship(&self, ctx: &Context<'_>) -> Result<Option<Relationship>, Error> {
        match caller(ctx).viewer() {
            Some(viewer) if viewer.id() != self.card.id => {
                Ok(Some(Relationship::load(ctx, viewer.id(), self.card.id).await?))
            }
            _ => Ok(None),
        }
    }
}

impl User {
    fn is_own(&self, ctx: &Context<'_>) -> bool {
        caller(ctx).viewer().is_some_and(|viewer| viewer.id() == self.card.id)
    }

    /// A user whom a row of the same moment points to.
    pub async fn load(ctx: &Context<'_>, id: i64) -> Result<Self, Error> {
        Ok(whole(ctx, id).await?.into())
    }

    /// All of the user's row.
    pub async fn whole(&self, ctx: &Context<'_>) -> Result<Arc<user::Model>, Error> {
        match &self.whole {
            Some(user) => Ok(Arc::clone(user)),
            None => whole(ctx, self.card.id).await,
        }
    }
}

async fn whole(ctx: &Context<'_>, id: i64) -> Result<Arc<user::Model>, Error> {
    let user = loaders(ctx).users.load(id).await?;
    user.ok_or_else(|| Error::internal("a row refers to a missing user"))
}

/// A user in the directory.
#[derive(async_graphql::SimpleObject)]
#[graphql(complex)]
pub struct UserEdge {
    /// The place of this entry in the list.
    cursor: String,
    #[graphql(skip)]
    user: user::Model,
}

#[ComplexObject]
impl UserEdge {
    /// The user.
    async fn node(&self) -> User {
        User::from(&self.user)
    }
}

impl Edge for UserEdge {
    const CONNECTION: &'static str = "UserConnection";
    type Row = user::Model;
    type Node = User;
    type Position = String;
    /// The prefix that all usernames of the list share.
    type Whole = Option<String>;

    fn new(row: &user::Model, cursor: String) -> Self {
        Self { cursor, user: row.clone() }
    }

    fn position(row: &user::Model) -> String {
        row.username.to_ascii_lowercase()
    }

    async fn load(row: &user::Model, _: &Context<'_>) -> Result<User, Error> {
        Ok(User::from(row))
    }

    async fn count(prefix: &Option<String>, ctx: &Context<'_>) -> Result<i32, Error> {
        graph::user::count(&loaders(ctx).snapshot, prefix.as_deref()).await.map(int)
    }
}

#[derive(Default)]
pub struct UserQuery;

#[Object]
impl UserQuery {
    /// One user by id or username; null when there is none.
    ///
    /// Errors: `INVALID_ID`.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which user.")] by: UserBy,
    ) -> Result<Option<User>, Error> {
        let user = match by.resolve()? {
            user::By::Id(id) => loaders(ctx).users.load(id).await?,
            user::By::Username(name) => {
                loaders(ctx).usernames.load(name.to_ascii_lowercase()).await?
            }
        };
        Ok(user.map(User::from))
    }

    /// All users by username from a to z. `totalCount` counts them when it is asked for.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many entries, from the start or from `after`: 1 to 100; 20 without `last`."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(
            desc = "How many entries, back from the end or from `before`: 1 to 100. Not with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Only users whose username starts with this; case makes no difference. Up to 30 characters make sense."
        )]
        username_prefix: Option<String>,
    ) -> Result<Connection<UserEdge>, Error> {
        let page = PageArgs { first, after, last, before }.of(List::Users)?;
        let prefix = username_prefix.as_deref();
        let slice = graph::user::directory(&loaders(ctx).snapshot, prefix, &page).await?;
        Ok(Connection { list: List::Users, slice: slice.into(), whole: username_prefix })
    }
}
