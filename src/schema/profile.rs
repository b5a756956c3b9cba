//! The mutation of the viewer's own profile.
//!
//! `MaybeUndefined` keeps the difference between an absent input field, which changes nothing, and
//! null, which clears the value.

use async_graphql::{Context, InputObject, MaybeUndefined, Object};

use super::error::{UserErrorInterface, user_errors};
use super::user::User;
use super::viewer::Viewer;
use super::{Outcome, loaders, request, run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;

/// Input of `updateProfile`. An absent field is not changed.
#[derive(InputObject)]
pub struct UpdateProfileInput {
    /// The username: 1 to 30 ASCII letters, digits and underscores.
    ///
    /// Unique without regard to case. Some names are reserved, such as `admin`. Must not be null.
    username: MaybeUndefined<String>,
    /// The name to display, a single line of 1 to 50 characters. Null removes it.
    ///
    /// Characters are Unicode code points, after spaces around the name are removed. At least one
    /// must be visible.
    display_name: MaybeUndefined<String>,
    /// The user's description of themselves, 1 to 500 characters. Null removes it.
    ///
    /// Characters are Unicode code points. At least one must be visible.
    about_me: MaybeUndefined<String>,
    /// The e-mail address, at most 254 bytes.
    ///
    /// Unique. It determines the avatar. Must not be null. Another address needs
    /// `currentPassword` and has to be verified. The old address is notified.
    email: MaybeUndefined<String>,
    /// The viewer's password. Needed only to change `email`.
    current_password: Option<String>,
    /// Whether the account is protected. Must not be null.
    ///
    /// New follows then need the viewer's consent, and only followers see the viewer's posts,
    /// timeline, followers and followed users. Present followers stay. Ending the protection keeps
    /// the requests to follow.
    is_protected: MaybeUndefined<bool>,
}

pub struct UpdateProfilePayload(Outcome<()>);

/// Payload of `updateProfile`.
#[Object]
impl UpdateProfilePayload {
    /// The viewer's own user, after the mutation. Null on failure.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        match &self.0 {
            Ok(()) => User::after(ctx, viewer(ctx)?.id()).await,
            Err(_) => Ok(None),
        }
    }

    /// The viewer, after the mutation. Null on failure.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|()| Viewer::from_context(ctx))
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

/// Work for a post or a repost when the protection of the author changes, in rows.
const ROWS_PER_POST: usize = 10;

#[derive(Default)]
pub struct ProfileMutation;

#[Object]
impl ProfileMutation {
    /// Changes the viewer's own profile. If one value is invalid, nothing is changed.
    ///
    /// User errors: `INVALID_INPUT`, `USERNAME_TAKEN`, `EMAIL_TAKEN`, `INVALID_CREDENTIALS`,
    /// `EMAIL_NOT_VERIFIED`, `TOO_MANY_REQUESTS`. Errors: `UNAUTHENTICATED`.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The fields to change.")] input: UpdateProfileInput,
    ) -> Result<UpdateProfilePayload, Error> {
        let profile = domain::profile::Profile {
            username: input.username.into(),
            email: input.email.into(),
            display_name: input.display_name.into(),
            about_me: input.about_me.into(),
            is_protected: input.is_protected.into(),
            current_password: input.current_password.map(Into::into),
        };
        let viewer = viewer(ctx)?;
        let client = &request(ctx).client;
        let write = || domain::profile::update(services(ctx), &viewer, client, profile.clone());
        let changed_rows = run_mutation(ctx, write).await?;
        // A change of the protection writes all posts of the viewer, and reads their reposts.
        let rows = usize::try_from(changed_rows.as_ref().map_or(0, |rows| *rows)).unwrap_or(0);
        loaders(ctx).snapshot.charge_read(ROWS_PER_POST * rows);
        Ok(UpdateProfilePayload(changed_rows.map(drop)))
    }
}
