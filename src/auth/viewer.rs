//! The viewer: the user whose token came with the request. There is no other way to get one than by
//! a valid token, so whoever holds a [`Viewer`] need not ask again.

use chrono::{TimeDelta, Utc};
use entity::{session, user};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _};

use super::session::hash;
use crate::database::{Database, Snapshot};
use crate::error::Error;

/// `lastSeenAt` and `lastUsedAt` are written at most this often.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(1);

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
        let found = session::Entity::find()
            .filter(session::Column::TokenHash.eq(hash(token)))
            .filter(session::Column::ExpiresAt.gt(Utc::now()))
            .find_also_related(user::Entity)
            .one(&*snapshot.get().await?)
            .await?;
        match found {
            Some((session, Some(user))) => Ok(Self { user, session }),
            _ => {
                Err(Error::Unauthenticated("The token is not valid or has expired. Log in again."))
            }
        }
    }

    pub fn id(&self) -> i64 {
        self.user.id
    }

    /// As it was when the request came in.
    pub fn user(&self) -> &user::Model {
        &self.user
    }

    pub fn session(&self) -> &session::Model {
        &self.session
    }

    /// Whether [`Viewer::touch`] has something to write.
    pub fn is_touch_due(&self) -> bool {
        Utc::now() - self.session.last_used_at >= TOUCH_EVERY
    }

    /// Notes that the user was here, at most once a minute however many requests say so.
    ///
    /// # Errors
    /// When the database is busy; the next request tries again.
    pub async fn touch(&self, db: &Database) -> Result<(), Error> {
        let now = Utc::now();
        let transaction = db.begin().await?;
        session::Entity::update_many()
            .col_expr(session::Column::LastUsedAt, Expr::value(now))
            .filter(session::Column::Id.eq(self.session.id))
            .filter(session::Column::LastUsedAt.lte(now - TOUCH_EVERY))
            .exec(&transaction)
            .await?;
        let stale = Condition::any()
            .add(user::Column::LastSeenAt.is_null())
            .add(user::Column::LastSeenAt.lte(now - TOUCH_EVERY));
        user::Entity::update_many()
            .col_expr(user::Column::LastSeenAt, Expr::value(now))
            .filter(user::Column::Id.eq(self.user.id))
            .filter(stale)
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
