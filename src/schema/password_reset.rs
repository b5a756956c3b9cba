//! GraphQL types of the reset of a lost password.

use async_graphql::{Context, Object};

use super::error::{UserErrorInterface, user_errors};
use super::{Outcome, request, run_mutation, services};
use crate::domain;
use crate::domain::password_reset::PasswordReset;
use crate::error::Error;

pub struct RequestPasswordResetPayload(Outcome<()>);

/// Payload of `requestPasswordReset`.
///
/// It does not show whether an account has the address.
#[Object]
impl RequestPasswordResetPayload {
    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct ResetPasswordPayload(Outcome<()>);

/// Payload of `resetPassword`.
#[Object]
impl ResetPasswordPayload {
    /// True if the password was changed. False on failure.
    async fn changed(&self) -> bool {
        self.0.is_ok()
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct PasswordResetMutation;

#[Object]
impl PasswordResetMutation {
    /// Sends a mail with a link that sets a new password.
    ///
    /// It is sent if an account has the address. The response and its time do not show it. An
    /// address is sent at most five mails per hour.
    ///
    /// User errors: `INVALID_INPUT`, `TOO_MANY_REQUESTS`, `PASSWORD_LOGIN_DISABLED`.
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The e-mail address of the account.")] email: String,
    ) -> Result<RequestPasswordResetPayload, Error> {
        let client = &request(ctx).client;
        let write = || domain::password_reset::request(services(ctx), client, &email);
        Ok(RequestPasswordResetPayload(run_mutation(ctx, write).await?))
    }

    /// Sets a new password by the token of a mail, and ends all sessions.
    ///
    /// The sessions are those of the account. The token can be used once, within an hour. It also
    /// verifies the address that the mail was sent to. Log in with the new password afterwards.
    ///
    /// User errors: `INVALID_INPUT`, `INVALID_TOKEN`, `TOO_MANY_REQUESTS`,
    /// `PASSWORD_LOGIN_DISABLED`.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token of the link in the mail.")] token: String,
        #[graphql(
            desc = "The new password, 8 to 128 characters (Unicode code points, in Normalization \
                    Form C)."
        )]
        new_password: String,
    ) -> Result<ResetPasswordPayload, Error> {
        let reset = PasswordReset { token: token.into(), new: new_password.into() };
        let client = &request(ctx).client;
        let write = || domain::password_reset::reset(services(ctx), client, reset.clone());
        Ok(ResetPasswordPayload(run_mutation(ctx, write).await?))
    }
}
