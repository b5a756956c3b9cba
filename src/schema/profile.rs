//! The viewer's own profile: what they change about themselves.

use async_graphql::{Context, InputObject, MaybeUndefined, Object};
use entity::user;

use super::account::Viewer;
use super::error::{UserErrorInterface, user_errors};
use super::user::User;
use super::{Outcome, caller, graph, viewer, write};
use crate::error::Error;
use crate::graph;

/// What to change about oneself. An absent field stays as it is; null clears it where it may be empty.
#[derive(InputObject)]
pub struct UpdateProfileInput {
    /// 1 to 30 letters, digits and underscores; unique without regard to case. Not null.
    username: MaybeUndefined<String>,
    /// 1 to 50 characters, or null for none.
    display_name: MaybeUndefined<String>,
    /// 1 to 500 characters, or null for none.
    about_me: MaybeUndefined<String>,
    /// An e-mail address of at most 254 characters, seen by nobody else; the avatar is made from it. Not
    /// null.
    email: MaybeUndefined<String>,
}

pub struct UpdateProfilePayload(Outcome<user::Model>);

/// The answer to `updateProfile`.
#[Object]
impl UpdateProfilePayload {
    /// The viewer's own user, as it is now.
    async fn user(&self) -> Option<User> {
        self.0.as_ref().ok().map(User::from)
    }

    /// The viewer, as they are now.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|_| Viewer::of(ctx))
    }

    /// Why nothing was changed; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct ProfileMutation;

#[Object]
impl ProfileMutation {
    /// Changes the viewer's own profile, all of it or nothing.
    ///
    /// User errors: `INVALID_INPUT`, `USERNAME_TAKEN`, `EMAIL_TAKEN`, `TOO_MANY_REQUESTS`. Errors: `UNAUTHENTICATED`.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateProfileInput,
    ) -> Result<UpdateProfilePayload, Error> {
        let profile = graph::profile::Profile {
            username: input.username.into(),
            email: input.email.into(),
            display_name: input.display_name.into(),
            about_me: input.about_me.into(),
        };
        let viewer = viewer(ctx)?;
        let updated = || {
            let client = caller(ctx).client.clone();
            graph::profile::update(graph(ctx), (&viewer, client), profile.clone())
        };
        Ok(UpdateProfilePayload(write(ctx, updated).await?))
    }
}
