//! GraphQL type of a mention in the text of a post.

use async_graphql::{Context, Object};
use entity::mention;

use super::eager::Eager;
use super::user::User;
use crate::error::Error;

pub struct Mention(pub mention::Model);

/// A user who is named in the text of a post as `@username`.
#[Object]
impl Mention {
    /// The mentioned user. The username can have changed since the text was written.
    async fn user(&self, ctx: &Context<'_>) -> Result<Eager<User>, Error> {
        User::load(ctx, self.0.user_id).await.map(Eager)
    }

    /// Position of the `@` in the text, in Unicode code points from 0.
    async fn start(&self) -> i32 {
        self.0.start
    }

    /// Length in Unicode code points, including the `@`.
    async fn length(&self) -> i32 {
        self.0.length
    }
}
