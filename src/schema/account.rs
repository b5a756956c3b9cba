//! GraphQL types of accounts: sessions, and mutations for credentials.
//!
//! `register`, `login` and `changePassword` return a new session and make its user the viewer of
//! the rest of the request. `logout`, `deleteAccount`, and `revokeSession` of the current session
//! make the rest anonymous.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use entity::session;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::{UserErrorInterface, user_errors};
use super::scalar::DateTime;
use super::text::ShortText;
use super::viewer::Viewer;
use super::{Outcome, request, run_mutation, services, viewer};
use crate::auth::IssuedSession;
use crate::domain::account::PasswordChange;
use crate::error::Error;
use crate::ids::GlobalId;
use crate::{auth, domain};

pub struct Session(pub session::Model);

/// An open session of the viewer. It has one bearer token.
#[Object]
impl Session {
    /// Opaque, globally unique id. Only the session's user can fetch the object.
    pub async fn id(&self) -> ID {
        GlobalId::Session(self.0.id).encode().into()
    }

    /// When the session was opened.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the token was last used. Updated at most once per minute.
    async fn last_used_at(&self) -> DateTime {
        DateTime(self.0.last_used_at)
    }

    /// When the token expires.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// The `User-Agent` header at login, cut to 200 characters. Null if there was none.
    async fn user_agent(&self) -> Option<ShortText<'_>> {
        self.0.user_agent.as_deref().map(ShortText::from)
    }

    /// Whether this is the session of the current request.
    async fn is_current(&self, ctx: &Context<'_>) -> bool {
        request(ctx).viewer().is_some_and(|viewer| viewer.session().id == self.0.id)
    }
}

/// Input of `register`: the data of the new account.
#[derive(InputObject)]
pub struct RegisterInput {
    /// 1 to 30 ASCII letters, digits and underscores. Unique without regard to case.
    ///
    /// Some names are reserved, such as `admin`.
    username: String,
    /// The e-mail address, at most 254 bytes. Unique. Only the viewer can read it.
    email: String,
    /// 8 to 128 characters (Unicode code points, in Normalization Form C).
    ///
    /// Not easy to guess: neither a common password nor a variant of a name or word.
    password: String,
    /// The name to display, a single line of 1 to 50 characters. Null for none.
    ///
    /// Characters are Unicode code points, after spaces around the name are removed. At least one
    /// must be visible.
    display_name: Option<String>,
    /// The code of an invite.
    ///
    /// Required if registration is by invite, and ignored otherwise.
    invite_code: Option<String>,
}

/// Credentials for `login`.
#[derive(InputObject)]
pub struct LoginInput {
    /// The username or the e-mail address. Case and spaces around it are ignored.
    username: String,
    /// The account's password.
    password: String,
}

/// Input of `changePassword`.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The viewer's current password. Needed if `Viewer.hasPassword` is true.
    current_password: Option<String>,
    /// The new password, 8 to 128 characters.
    ///
    /// Characters are Unicode code points, in Normalization Form C. Not easy to guess: neither a
    /// common password nor a variant of a name or word.
    new_password: String,
}

/// Input of `deleteAccount`: the confirmation.
#[derive(InputObject)]
pub struct DeleteAccountInput {
    /// The viewer's password. Needed if `Viewer.hasPassword` is true.
    password: Option<String>,
}

struct NewSession {
    token: SecretString,
    viewer: Arc<auth::Viewer>,
}

pub struct AuthPayload(Outcome<NewSession>);

impl AuthPayload {
    /// Runs `write` and makes its user the viewer of the rest of the request.
    async fn new<F>(ctx: &Context<'_>, write: impl Fn() -> F) -> Result<Self, Error>
    where
        F: Future<Output = Result<IssuedSession, Error>>,
    {
        let outcome = run_mutation(ctx, write).await?;
        if let Ok(IssuedSession { viewer, .. }) = &outcome {
            request(ctx).set_viewer(Some(viewer.clone())).await;
        }
        let session = |IssuedSession { token, viewer }| NewSession { token, viewer: viewer.into() };
        Ok(Self(outcome.map(session)))
    }
}

/// Payload of `register`, `login` and `changePassword`: a new session.
#[Object]
impl AuthPayload {
    /// The bearer token, for the header `Authorization: Bearer <token>`.
    ///
    /// The server shows it only once. Null on failure.
    async fn token(&self) -> Option<ShortText<'_>> {
        self.0.as_ref().ok().map(|session| session.token.expose_secret().into())
    }

    /// When the token expires. Null on failure.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.as_ref().ok().map(|session| DateTime(session.viewer.session().expires_at))
    }

    /// The signed-in user. Null on failure.
    async fn viewer(&self) -> Option<Viewer> {
        self.0.as_ref().ok().map(|session| Viewer(Arc::clone(&session.viewer)))
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct LogoutPayload(Outcome<u64>);

/// Payload of `logout`.
#[Object]
impl LogoutPayload {
    /// True if a session was ended. False if it had already ended, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|ended| *ended > 0)
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct RevokeSessionPayload(Outcome<(bool, i64)>);

/// Payload of `revokeSession`.
#[Object]
impl RevokeSessionPayload {
    /// True if the session was ended.
    ///
    /// False if the viewer has no such session, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|(changed, _)| *changed)
    }

    /// The session id that the mutation was given. Null on failure.
    async fn revoked_session_id(&self) -> Option<ID> {
        self.0.as_ref().ok().map(|(_, id)| GlobalId::Session(*id).encode().into())
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct DeleteAccountPayload(Outcome<i64>);

/// Payload of `deleteAccount`.
#[Object]
impl DeleteAccountPayload {
    /// True if the account was deleted. False on failure.
    async fn changed(&self) -> bool {
        self.0.is_ok()
    }

    /// The id of the deleted user. Null on failure.
    async fn deleted_user_id(&self) -> Option<ID> {
        self.0.as_ref().ok().map(|id| GlobalId::User(*id).encode().into())
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Creates an account and opens a session. All invalid values are reported at once.
    ///
    /// User errors: `INVALID_INPUT`, `USERNAME_TAKEN`, `EMAIL_TAKEN`, `TOO_MANY_REQUESTS`,
    /// `PASSWORD_LOGIN_DISABLED`. Errors: `FORBIDDEN` if registration is closed.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The data of the new account.")] input: RegisterInput,
    ) -> Result<AuthPayload, Error> {
        let RegisterInput { username, email, password, display_name, invite_code } = input;
        let registration = domain::account::Registration {
            username,
            email,
            password: password.into(),
            display_name,
            invite_code,
        };
        let write = || {
            let client = request(ctx).client.clone();
            domain::account::register(services(ctx), registration.clone(), client)
        };
        AuthPayload::new(ctx, write).await
    }

    /// Opens a session. The response and its time do not show whether the user exists.
    ///
    /// User errors: `INVALID_CREDENTIALS`, `TOO_MANY_REQUESTS`, `PASSWORD_LOGIN_DISABLED`.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The username or e-mail address, and the password.")] input: LoginInput,
    ) -> Result<AuthPayload, Error> {
        let LoginInput { username, password } = input;
        let password = SecretString::from(password);
        let write = || {
            let client = request(ctx).client.clone();
            domain::account::login(services(ctx), &username, password.clone(), client)
        };
        AuthPayload::new(ctx, write).await
    }

    /// Ends the session of the current request, or all of the viewer's sessions.
    ///
    /// Errors: `UNAUTHENTICATED`.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = false, desc = "Ends all of the viewer's sessions.")] everywhere: bool,
    ) -> Result<LogoutPayload, Error> {
        let viewer = viewer(ctx)?;
        let write = || domain::account::logout(services(ctx), &viewer, everywhere);
        let outcome = run_mutation(ctx, write).await?;
        request(ctx).set_viewer(None).await;
        Ok(LogoutPayload(outcome))
    }

    /// Ends one session of the viewer. Ending a session that does not exist succeeds.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn revoke_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of a session from `Viewer.sessions`.")] id: ID,
    ) -> Result<RevokeSessionPayload, Error> {
        let viewer = viewer(ctx)?;
        let id = GlobalId::session(&id)?;
        let write = || domain::account::revoke(services(ctx), &viewer, id);
        let outcome = run_mutation(ctx, write).await?;
        if id == viewer.session().id && outcome.is_ok() {
            request(ctx).set_viewer(None).await;
        }
        Ok(RevokeSessionPayload(outcome.map(|changed| (changed, id))))
    }

    /// Changes the viewer's password, ends all of their sessions and opens a new one.
    ///
    /// An account without a password gets its first one: an imported account, or one whose user
    /// signs in elsewhere.
    ///
    /// User errors: `INVALID_INPUT`, `INVALID_CREDENTIALS`, `TOO_MANY_REQUESTS`,
    /// `PASSWORD_LOGIN_DISABLED`. Errors: `UNAUTHENTICATED`.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The current password, if there is one, and the new one.")]
        input: ChangePasswordInput,
    ) -> Result<AuthPayload, Error> {
        let ChangePasswordInput { current_password, new_password } = input;
        let current = current_password.map(SecretString::from);
        let change = PasswordChange { current, new: new_password.into() };
        let viewer = viewer(ctx)?;
        let write = || {
            let client = request(ctx).client.clone();
            domain::account::change_password(services(ctx), &viewer, client, change.clone())
        };
        AuthPayload::new(ctx, write).await
    }

    /// Deletes the viewer's account. This cannot be undone.
    ///
    /// The account's posts, bookmarks, likes, reposts and sessions are deleted with it, and so are
    /// follows, requests, blocks, mutes and notifications in both directions. The counts of other
    /// users and posts change with them.
    ///
    /// An account with many rows is deleted in several steps, posts first and the account last.
    /// After `OUTCOME_UNKNOWN` some rows can be gone while the account exists: send the mutation
    /// again.
    ///
    /// User errors: `INVALID_CREDENTIALS`, `TOO_MANY_REQUESTS`. Errors: `UNAUTHENTICATED`.
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The viewer's password, if there is one.")] input: DeleteAccountInput,
    ) -> Result<DeleteAccountPayload, Error> {
        let viewer = viewer(ctx)?;
        let password = input.password.map(SecretString::from);
        let client = &request(ctx).client;
        let write =
            || domain::deletion::delete_account(services(ctx), &viewer, client, password.clone());
        let outcome = run_mutation(ctx, write).await?;
        if outcome.is_ok() {
            request(ctx).set_viewer(None).await;
        }
        Ok(DeleteAccountPayload(outcome))
    }
}
