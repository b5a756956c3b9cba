//! GraphQL types of the verification of e-mail addresses.

use async_graphql::{Context, Object};

use super::error::{UserErrorInterface, user_errors};
use super::viewer::Viewer;
use super::{Outcome, request, run_mutation, services, viewer};
use crate::domain;
use crate::error::Error;

pub struct VerifyEmailPayload(Outcome<bool>);

/// Payload of `verifyEmail`.
#[Object]
impl VerifyEmailPayload {
    /// True if the address was not verified before. False on failure.
    async fn changed(&self) -> bool {
        self.0 == Ok(true)
    }

    /// The viewer, after the mutation. Null without a viewer, and on failure.
    ///
    /// The token may be of another user.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|_| Viewer::from_context(ctx))
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct ResendVerificationPayload(Outcome<bool>);

/// Payload of `resendVerification`.
#[Object]
impl ResendVerificationPayload {
    /// True if a mail will be sent.
    ///
    /// False if the address is verified, if a mail already waits to be sent, if the operator sends
    /// no mail, and on failure.
    async fn changed(&self) -> bool {
        self.0 == Ok(true)
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct EmailVerificationMutation;

#[Object]
impl EmailVerificationMutation {
    /// Verifies the e-mail address of an account, by the token of a mail.
    ///
    /// It needs no session. The token can be used again until it expires, after 48 hours.
    ///
    /// User errors: `INVALID_TOKEN`, `TOO_MANY_REQUESTS`.
    async fn verify_email(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token of the link in the mail.")] token: String,
    ) -> Result<VerifyEmailPayload, Error> {
        let client = &request(ctx).client;
        let write = || domain::email_verification::verify(services(ctx), client, &token);
        Ok(VerifyEmailPayload(run_mutation(ctx, write).await?))
    }

    /// Sends another mail with a link that verifies the viewer's e-mail address.
    ///
    /// At most five mails are sent in 48 hours.
    ///
    /// User errors: `TOO_MANY_REQUESTS`. Errors: `UNAUTHENTICATED`.
    async fn resend_verification(
        &self,
        ctx: &Context<'_>,
    ) -> Result<ResendVerificationPayload, Error> {
        let viewer = viewer(ctx)?;
        let client = &request(ctx).client;
        let write = || domain::email_verification::resend(services(ctx), &viewer, client);
        Ok(ResendVerificationPayload(run_mutation(ctx, write).await?))
    }
}
