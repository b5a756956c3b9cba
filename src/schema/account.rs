//! Accounts as clients see them: the viewer's private side, and coming in and going out.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use entity::session;
use secrecy::{ExposeSecret as _, SecretString};

use super::bookmark::BookmarkEdge;
use super::connection::{Connection, PageArgs, cost_of_posts, times, with_count};
use super::error::{UserErrorInterface, user_errors};
use super::scalar::DateTime;
use super::user::User;
use super::{Outcome, caller, graph, loaders, viewer, write};
use crate::auth::{self, SignedIn};
use crate::error::Error;
use crate::graph;
use crate::id::Id;
use crate::page::List;

pub struct Viewer(Arc<auth::Viewer>);

impl Viewer {
    /// Whoever is signed in at this point of the request.
    pub fn of(ctx: &Context<'_>) -> Option<Self> {
        caller(ctx).viewer().map(Self)
    }
}

/// The signed-in user's private side.
#[Object]
impl Viewer {
    /// The user, as everybody sees them.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, Error> {
        User::load(ctx, self.0.id()).await
    }

    /// The e-mail address, trimmed and lower-cased; shown to nobody else.
    async fn email(&self, ctx: &Context<'_>) -> Result<String, Error> {
        Ok(User::load(ctx, self.0.id()).await?.whole(ctx).await?.email.clone())
    }

    /// The sessions that are open now, newest first; at most 100. Another login ends the oldest.
    #[graphql(complexity = "times(100, child_complexity)")]
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>, Error> {
        let sessions = graph::account::sessions(&loaders(ctx).snapshot, &self.0).await?;
        Ok(sessions.into_iter().map(Session).collect())
    }

    /// The posts that the viewer has put aside, newest bookmark first.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost_of_posts(first, last, child_complexity))")]
    async fn bookmarks(
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
    ) -> Result<Connection<BookmarkEdge>, Error> {
        let page = PageArgs { first, after, last, before }.of(List::Bookmarks)?;
        let slice = graph::bookmark::page(&loaders(ctx).snapshot, &self.0, &page).await?;
        Ok(Connection { list: List::Bookmarks, slice: slice.into(), whole: () })
    }
}

pub struct Session(pub session::Model);

/// A signed-in client of the viewer: what one bearer token stands for.
#[Object]
impl Session {
    /// Opaque and globally unique; only its owner can fetch it.
    pub async fn id(&self) -> ID {
        Id::Session(self.0.id).encode().into()
    }

    /// When the viewer logged in.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When its token was last used; up to a minute behind.
    async fn last_used_at(&self) -> DateTime {
        DateTime(self.0.last_used_at)
    }

    /// When its token stops working.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// What the client said of itself at login, up to 200 characters; null when nothing.
    async fn user_agent(&self) -> Option<&str> {
        self.0.user_agent.as_deref()
    }

    /// Whether this request came with its token.
    async fn is_current(&self, ctx: &Context<'_>) -> bool {
        caller(ctx).viewer().is_some_and(|viewer| viewer.session().id == self.0.id)
    }
}

#[derive(Default)]
pub struct AccountQuery;

#[Object]
impl AccountQuery {
    /// The signed-in user; null when the request came without a token. A wrong or expired token is an
    /// error, not silence.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        Viewer::of(ctx)
    }
}

/// A new account.
#[derive(InputObject)]
pub struct RegisterInput {
    /// 1 to 30 letters, digits and underscores; unique without regard to case, shown as typed.
    username: String,
    /// An e-mail address of at most 254 characters that nobody has registered with; shown to nobody
    /// else.
    email: String,
    /// 8 to 128 characters.
    password: String,
    /// The name to show, 1 to 50 characters.
    display_name: Option<String>,
}

/// Who is coming in.
#[derive(InputObject)]
pub struct LoginInput {
    /// The username or the e-mail address; case makes no difference.
    username: String,
    /// The password, 8 to 128 characters.
    password: String,
}

/// A change of the password.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The password that is valid now.
    current_password: String,
    /// The new password, 8 to 128 characters.
    new_password: String,
}

/// What confirms that the account is to be deleted.
#[derive(InputObject)]
pub struct DeleteAccountInput {
    /// The viewer's password, 8 to 128 characters.
    password: String,
}

struct Opened {
    token: SecretString,
    viewer: Arc<auth::Viewer>,
}

pub struct AuthPayload(Outcome<Opened>);

impl AuthPayload {
    /// From here on, the request is the new viewer's.
    async fn new<F>(ctx: &Context<'_>, verb: impl Fn() -> F) -> Result<Self, Error>
    where
        F: Future<Output = Result<SignedIn, Error>>,
    {
        let outcome = write(ctx, verb).await?;
        if let Ok(SignedIn { viewer, .. }) = &outcome {
            caller(ctx).set_viewer(Some(viewer.clone())).await;
        }
        let opened = |SignedIn { token, viewer }| Opened { token, viewer: Arc::new(viewer) };
        Ok(Self(outcome.map(opened)))
    }
}

/// The answer to `register`, `login` and `changePassword`: a new session.
#[Object]
impl AuthPayload {
    /// The bearer token, shown this once: send it as `Authorization: Bearer <token>`.
    async fn token(&self) -> Option<&str> {
        self.0.as_ref().ok().map(|opened| opened.token.expose_secret())
    }

    /// When the token stops working.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.as_ref().ok().map(|opened| DateTime(opened.viewer.session().expires_at))
    }

    /// Whose session it is.
    async fn viewer(&self) -> Option<Viewer> {
        self.0.as_ref().ok().map(|opened| Viewer(Arc::clone(&opened.viewer)))
    }

    /// Why there is no session; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct LogoutPayload(Outcome<u64>);

/// The answer to `logout`.
#[Object]
impl LogoutPayload {
    /// Whether a session was ended. False when it was over already, a success all the same.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|ended| *ended > 0)
    }

    /// Why no session was ended; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct RevokeSessionPayload(Outcome<(bool, i64)>);

/// The answer to `revokeSession`.
#[Object]
impl RevokeSessionPayload {
    /// Whether the session was ended. False when it was over already, a success all the same.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|(changed, _)| *changed)
    }

    /// The id of the session that is over.
    async fn revoked_session_id(&self) -> Option<ID> {
        self.0.as_ref().ok().map(|(_, id)| Id::Session(*id).encode().into())
    }

    /// Why no session was ended; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct DeleteAccountPayload(Outcome<i64>);

/// The answer to `deleteAccount`.
#[Object]
impl DeleteAccountPayload {
    /// Whether the account was deleted.
    async fn changed(&self) -> bool {
        self.0.is_ok()
    }

    /// The id of the deleted user.
    async fn deleted_user_id(&self) -> Option<ID> {
        self.0.as_ref().ok().map(|id| Id::User(*id).encode().into())
    }

    /// Why nothing was deleted; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Makes an account and signs in.
    ///
    /// User errors: `INVALID_INPUT` (all of them at once), `USERNAME_TAKEN`, `EMAIL_TAKEN`,
    /// `TOO_MANY_REQUESTS`.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new account.")] input: RegisterInput,
    ) -> Result<AuthPayload, Error> {
        let RegisterInput { username, email, password, display_name } = input;
        let new = graph::account::Registration {
            username,
            email,
            password: password.into(),
            display_name,
        };
        let signed_in = || {
            let client = caller(ctx).client.clone();
            graph::account::register(graph(ctx), new.clone(), client)
        };
        AuthPayload::new(ctx, signed_in).await
    }

    /// Signs in. An unknown user gets the same answer, after the same time, as a wrong password.
    ///
    /// User errors: `INVALID_CREDENTIALS`, `TOO_MANY_REQUESTS`.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Username or e-mail address, and the password.")] input: LoginInput,
    ) -> Result<AuthPayload, Error> {
        let LoginInput { username, password } = input;
        let password = SecretString::from(password);
        let signed_in = || {
            let client = caller(ctx).client.clone();
            graph::account::login(graph(ctx), &username, password.clone(), client)
        };
        AuthPayload::new(ctx, signed_in).await
    }

    /// Ends the session of this request's token, or all of the viewer's sessions.
    ///
    /// Errors: `UNAUTHENTICATED`.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = false, desc = "All sessions, not only this one.")] everywhere: bool,
    ) -> Result<LogoutPayload, Error> {
        let viewer = viewer(ctx)?;
        let ended = || graph::account::logout(graph(ctx), &viewer, everywhere);
        let outcome = write(ctx, ended).await?;
        caller(ctx).set_viewer(None).await;
        Ok(LogoutPayload(outcome))
    }

    /// Ends one of the viewer's sessions, whichever client it belongs to. A session that is over, or not the viewer's, is left
    /// as it is: `changed` is false.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn revoke_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session, as in `Viewer.sessions`.")] id: ID,
    ) -> Result<RevokeSessionPayload, Error> {
        let viewer = viewer(ctx)?;
        let id = Id::session(&id)?;
        let revoked = || graph::account::revoke(graph(ctx), &viewer, id);
        let outcome = write(ctx, revoked).await?;
        if id == viewer.session().id && outcome.is_ok() {
            caller(ctx).set_viewer(None).await;
        }
        Ok(RevokeSessionPayload(outcome.map(|changed| (changed, id))))
    }

    /// Changes the viewer's password, ends all their sessions and opens a new one.
    ///
    /// User errors: `INVALID_INPUT`, `INVALID_CREDENTIALS`, `TOO_MANY_REQUESTS`. Errors:
    /// `UNAUTHENTICATED`.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password now, and the new one.")] input: ChangePasswordInput,
    ) -> Result<AuthPayload, Error> {
        let ChangePasswordInput { current_password, new_password } = input;
        let (current, new) =
            (SecretString::from(current_password), SecretString::from(new_password));
        let viewer = viewer(ctx)?;
        let changed = || {
            let (current, new) = (current.clone(), new.clone());
            let client = caller(ctx).client.clone();
            graph::account::change_password(graph(ctx), (&viewer, client), current, new)
        };
        AuthPayload::new(ctx, changed).await
    }

    /// Removes the viewer's account with their follows in both directions, posts, bookmarks and
    /// sessions, and sets everybody else's counts right, in one transaction. There is no way back.
    ///
    /// User errors: `INVALID_CREDENTIALS`, `TOO_MANY_REQUESTS`. Errors: `UNAUTHENTICATED`.
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The viewer's password, as confirmation.")] input: DeleteAccountInput,
    ) -> Result<DeleteAccountPayload, Error> {
        let viewer = viewer(ctx)?;
        let password = SecretString::from(input.password);
        let deleted = || {
            let client = caller(ctx).client.clone();
            graph::account::delete(graph(ctx), (&viewer, client), password.clone())
        };
        let outcome = write(ctx, deleted).await?;
        if outcome.is_ok() {
            caller(ctx).set_viewer(None).await;
        }
        Ok(DeleteAccountPayload(outcome))
    }
}
