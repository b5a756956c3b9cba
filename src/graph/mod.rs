//! What may happen, noun by noun: the rules, beside the writes they guard.
//!
//! A verb takes the [`Graph`] and, where somebody must be signed in, the [`Viewer`]
//! as the proof. It returns plain values or an [`Error`]; it knows no GraphQL.
//! Each write is one transaction that leaves counts and rows in step: it locks the users it changes
//! first, in the order of their keys, and may be run again when it failed with a conflict. These files
//! do not call each other.

pub mod account;
pub mod bookmark;
pub mod follow;
pub mod post;
pub mod profile;
pub mod text;
pub mod user;

use std::sync::Arc;

use chrono::{SubsecRound as _, TimeDelta, Utc};
use entity::event;
use sea_orm::{ActiveEnum as _, ConnectionTrait as _, DatabaseTransaction, DbErr};

use crate::auth::{Attempts, Passwords, Viewer};
use crate::database::Database;
use crate::error::Error;
use crate::key::Keys;

/// What the verbs work with.
pub struct Graph {
    pub db: Database,
    pub keys: Keys,
    pub passwords: Passwords,
    pub attempts: Arc<Attempts>,
    pub follow_limits: FollowLimits,
    /// How long a bearer token is good for.
    pub session_lifetime: TimeDelta,
}

/// How many one user may follow; 0 for no limit.
#[derive(Clone, Copy, Debug)]
pub struct FollowLimits {
    pub total: i32,
    /// From midnight to midnight, in UTC.
    pub a_day: i32,
}

impl Graph {
    /// Tells whoever watches what the transaction does; a transaction does one thing.
    async fn tell(
        &self,
        transaction: &DatabaseTransaction,
        kind: event::Kind,
        (actor, object): (i64, i64),
    ) -> Result<(), DbErr> {
        let sql = "INSERT INTO event (kind, actor, object, at) VALUES ($1, $2, $3, $4)";
        let now = Utc::now().trunc_subsecs(3);
        let values = [kind.into_value().into(), actor.into(), object.into(), now.into()];
        transaction.execute_raw(self.db.statement(sql, values)).await.map(drop)
    }

    /// Ends a transaction of the viewer's. When the database goes away just now, nobody knows what it did.
    async fn commit(&self, transaction: DatabaseTransaction, viewer: &Viewer) -> Result<(), Error> {
        self.db.begin_mark(&transaction, viewer.session().id).await?;
        let committed = transaction.commit().await.map_err(|error| match error.into() {
            Error::Unavailable => Error::OutcomeUnknown,
            error => error,
        });
        self.db.bell().ring();
        committed
    }
}

/// A post as it is now, and whether it was another before.
#[derive(Clone, Debug)]
pub struct PostChange {
    pub changed: bool,
    pub post: entity::post::Model,
}
