//! The viewer: the signed-in user of a request, with the session.
//!
//! A [`Viewer`] is created only by authenticating a token or by opening a session. A function that
//! takes `&Viewer` therefore needs no check of its own.

use entity::{session, user};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::external::is_jwt;
use super::token::{hash_token, is_well_formed};
use crate::clock;
use crate::database::{Lsn, Snapshot};
use crate::error::Error;

/// An authenticated user and session.
#[derive(Clone, Debug)]
pub struct Viewer {
    user: user::Model,
    session: session::Model,
}

impl Viewer {
    pub(super) fn new(user: user::Model, session: session::Model) -> Self {
        Self { user, session }
    }

    /// Finds the session of a bearer token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when no session has the token, or the session has expired; any
    /// error of the database.
    pub async fn authenticate(snapshot: &Snapshot, token: &str) -> Result<Self, Error> {
        if !is_well_formed(token) {
            return Err(invalid_token());
        }
        Self::find(snapshot, token).await?.ok_or_else(invalid_token)
    }

    /// Finds the session that was opened for a token of the identity provider.
    ///
    /// `None` if the token is new, has expired, or its session has ended.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn of_external_token(
        snapshot: &Snapshot,
        token: &str,
    ) -> Result<Option<Self>, Error> {
        if is_jwt(token) { Self::find(snapshot, token).await } else { Ok(None) }
    }

    async fn find(snapshot: &Snapshot, token: &str) -> Result<Option<Self>, Error> {
        let row = session::Entity::find()
            .filter(session::Column::TokenHash.eq(hash_token(token)))
            .filter(session::Column::ExpiresAt.gt(clock::now()))
            .find_also_related(user::Entity)
            .one(&**snapshot.read(1).await?)
            .await?;
        Ok(row.and_then(|(session, user)| Some(Self { user: user?, session })))
    }

    /// The id of the user.
    pub fn id(&self) -> i64 {
        self.user.id
    }

    /// The row of the user, as it was when the viewer was created.
    pub fn user(&self) -> &user::Model {
        &self.user
    }

    /// The LSN of the session's last write, or 0.
    ///
    /// It is larger than any LSN while the LSN of a write is not recorded, so that no replica is
    /// read.
    pub fn lsn(&self) -> Lsn {
        self.session.lsn.map(Lsn::from_column).unwrap_or_default()
    }

    /// The row of the session.
    pub fn session(&self) -> &session::Model {
        &self.session
    }
}

/// The error of a token that is not accepted. It does not say why.
pub fn invalid_token() -> Error {
    Error::Unauthenticated("The token is not valid or has expired. Log in again.")
}
