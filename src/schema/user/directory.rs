//! The directory of all users, and the look-up of a user.

use async_graphql::{ComplexObject, Context, Object, SimpleObject};
use entity::user;

use super::{User, UserBy};
use crate::domain;
use crate::error::Error;
use crate::pagination::CursorKind;
use crate::schema::connection::{Connection, Edge, PageArgs, cost, to_graphql_int, with_count};
use crate::schema::loaders;

/// An entry of the directory of users.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct UserEdge {
    /// The cursor of this entry.
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
    type Key = String;
    /// The argument `usernamePrefix`.
    type CountSource = Option<String>;

    fn new(row: &user::Model, cursor: String) -> Self {
        Self { cursor, user: row.clone() }
    }

    fn key(row: &user::Model) -> String {
        row.username.to_ascii_lowercase()
    }

    async fn load(row: &user::Model, _: &Context<'_>) -> Result<User, Error> {
        Ok(User::from(row))
    }

    async fn count(prefix: &Option<String>, ctx: &Context<'_>) -> Result<i32, Error> {
        domain::user::count(&loaders(ctx).snapshot, prefix.as_deref()).await.map(to_graphql_int)
    }
}

#[derive(Default)]
pub struct UserQuery;

#[Object]
impl UserQuery {
    /// A user by id or username. Null if the user does not exist.
    ///
    /// Errors: `INVALID_ID`.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id or the username.")] by: UserBy,
    ) -> Result<Option<User>, Error> {
        User::find(ctx, by).await
    }

    /// All users, ordered by lower-cased username.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only usernames with this prefix, case-insensitive. Default: all.")]
        username_prefix: Option<String>,
    ) -> Result<Connection<UserEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::Users)?;
        let prefix = username_prefix.as_deref();
        let page = domain::user::directory(&loaders(ctx).snapshot, prefix, &page).await?;
        let page = page.into();
        Ok(Connection { order: CursorKind::Users.into(), page, count_source: username_prefix })
    }
}
