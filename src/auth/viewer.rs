//! The viewer: the user whose token came with the request. There is no other way to get one than by
//! a valid token, so whoever holds a [`Viewer`] need not ask again.

use chrono::Utc;
use entity::{session, user};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::session::{could_be, hash};
use crate::database::{Lsn, Snapshot};
use crate::error::Error;

#[derive(Clone, Debug)]
pub struct Viewer {
    user: user::Model,
    session: session::Model,
}

impl Viewer {
    pub(super) fn new(user: user::Model, session: session::Model) -> Self {
        Self { user, session }
    }

    /// # Errors
    /// [`Error::Unauthenticated`] when no session has this token or it is over.
    pub async fn authenticate(snapshot: &Snapshot, token: &str) -> Result<Self, Error> {
        if !could_be(token) {
            return Err(wrong());
        }
        let found = session::Entity::find()
            .filter(session::Column::TokenHash.eq(hash(token)))
            .filter(session::Column::ExpiresAt.gt(Utc::now()))
            .find_also_related(user::Entity)
            .one(&**snapshot.get().await?)
            .await?;
        match found {
            Some((session, Some(user))) => Ok(Self { user, session }),
            _ => Err(wrong()),
        }
    }

    pub fn id(&self) -> i64 {
        self.user.id
    }

    /// As it was when the request came in.
    pub fn user(&self) -> &user::Model {
        &self.user
    }

    /// Where the log stood after the session's last write.
    pub fn lsn(&self) -> Lsn {
        self.session.lsn.map(Lsn::stored).unwrap_or_default()
    }

    pub fn session(&self) -> &session::Model {
        &self.session
    }
}

fn wrong() -> Error {
    Error::Unauthenticated("The token is not valid or has expired. Log in again.")
}
