//! Domain operations, one file per noun.
//!
//! Each rule is in the file of the write that it restricts. Rules for texts are in `validation`.
//!
//! An operation takes the [`Services`] and, if it needs an authenticated user, the [`Viewer`] as
//! proof. It returns plain values or an [`Error`], and knows no GraphQL.
//!
//! Each write is one transaction that keeps counts equal to the rows that they count. It locks the
//! viewer and other users whom it changes, in the order of their ids, then users who must not be
//! deleted, then the posts, and then all other rows. `docs/adr/0004-sqlite-and-postgresql.md` has
//! this order. A write may be retried after [`Error::Conflict`]. A deletion and a block are
//! sequences of such transactions.
//!
//! The files do not import each other, except for `idempotency`, `invite`, `mail`, `mark`,
//! `mention`, `new_user`, `notification`, `pair`, `password`, `steps`, `target_post` and
//! `validation`, which have parts that several nouns share.

pub mod account;
pub mod block;
pub mod bookmark;
pub mod deletion;
pub mod email_verification;
pub mod follow;
pub mod follow_many;
pub mod follow_path;
pub mod follow_request;
pub mod idempotency;
pub mod identity;
pub mod invite;
pub mod like;
pub mod mail;
mod mark;
mod mention;
pub mod mute;
mod new_user;
pub mod notification;
mod pair;
mod password;
pub mod password_reset;
pub mod post;
pub mod profile;
pub mod repost;
mod reserved_names;
pub mod search;
mod steps;
pub mod suggestion;
mod target_post;
pub mod timeline_marker;
pub mod user;
pub mod validation;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use entity::event;
use sea_orm::{ActiveEnum as _, ConnectionTrait as _, DatabaseTransaction, DbErr};

use crate::auth::{Passwords, Viewer};
use crate::clock;
use crate::database::{Database, Engine, WriteTransaction};
use crate::error::{Error, UserErrorKind};
use crate::ids::IdGenerator;
use crate::limits::CredentialThrottle;
use crate::mail::Outbox;

pub use reserved_names::ReservedNames;

/// The dependencies of all operations. Clones share them.
#[derive(Clone)]
pub struct Services {
    pub db: Database,
    pub ids: Arc<IdGenerator>,
    pub passwords: Passwords,
    pub throttle: Arc<CredentialThrottle>,
    pub follow_limits: FollowLimits,
    pub post_limits: PostLimits,
    /// Lifetime of a session and its bearer token.
    pub session_lifetime: TimeDelta,
    pub registration: RegistrationMode,
    pub reserved_names: Arc<ReservedNames>,
    /// Sends the mails that writes cause; `None` if the operator wants no mail.
    pub mail: Option<Outbox>,
    /// Whether writes need a verified e-mail address.
    pub require_verified_email: bool,
    /// Whether users register and log in with a password.
    pub has_password_login: bool,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationMode {
    /// All clients.
    Open,
    /// Clients with the code of an invite.
    Invite,
    /// No client.
    Closed,
}

/// Limits on the follows of a user. 0 disables a limit.
#[derive(Clone, Copy, Debug)]
pub struct FollowLimits {
    /// Maximum number of users that a user follows at the same time.
    pub total: i32,
    /// Maximum number of new follows of a user per day in UTC, undone follows included.
    pub per_day: i32,
}

/// Limits on what a user posts per day in UTC, edits and deleted posts included.
///
/// 0 disables a limit.
#[derive(Clone, Copy, Debug)]
pub struct PostLimits {
    /// Maximum number of posts and edits.
    pub per_day: i32,
    /// Maximum of their texts in bytes.
    pub bytes_per_day: i64,
}

/// The day in UTC, in days since 1970-01-01.
fn day_of(time: DateTime<Utc>) -> i32 {
    i32::try_from(time.timestamp().div_euclid(SECONDS_PER_DAY)).unwrap_or(i32::MAX)
}

const SECONDS_PER_DAY: i64 = 86_400;

impl Services {
    /// The same, using a request's handle to the database.
    #[must_use]
    pub fn with_database(&self, db: &Database) -> Self {
        Self { db: db.clone(), ..self.clone() }
    }

    /// Records an event in the outbox, as part of the transaction of the change.
    ///
    /// A transaction records at most one event, because its id is the event's key. `object` is the
    /// post or the user that the actor changed, or 0 without one.
    async fn record_event(
        &self,
        transaction: &DatabaseTransaction,
        kind: event::Kind,
        actor: i64,
        object: i64,
    ) -> Result<(), DbErr> {
        let now = clock::now().trunc_subsecs(3);
        let values = [kind.into_value().into(), actor.into(), object.into(), now.into()];
        transaction.execute_raw(self.db.statement(event::INSERT, values)).await.map(drop)
    }

    /// Records an event and its parts, changes that concern other actors.
    async fn record(
        &self,
        transaction: &DatabaseTransaction,
        event: Change,
        parts: &[Change],
    ) -> Result<(), DbErr> {
        self.record_event(transaction, event.kind, event.actor, event.object).await?;
        self.record_parts(transaction, parts).await
    }

    /// Records the parts of the event of a transaction, which was recorded before.
    async fn record_parts(
        &self,
        transaction: &DatabaseTransaction,
        parts: &[Change],
    ) -> Result<(), DbErr> {
        if parts.is_empty() {
            return Ok(());
        }
        // The event that was just inserted is the newest on SQLite, which has one writer.
        let txn = match self.db.engine() {
            Engine::Sqlite => "(SELECT max(txn) FROM event)",
            Engine::Postgres => "pg_current_xact_id()::text::bigint",
        };
        let sql = format!(
            "INSERT INTO event_part (actor, txn, kind, object) \
             SELECT CAST(part.value ->> 0 AS bigint), {txn}, CAST(part.value ->> 1 AS smallint), \
               CAST(part.value ->> 2 AS bigint) FROM {} WHERE true ON CONFLICT DO NOTHING",
            self.db.engine().unnest_json("part")
        );
        let rows = parts
            .iter()
            .map(|part| serde_json::json!([part.actor, part.kind.into_value(), part.object]));
        let rows = rows.collect::<serde_json::Value>().to_string();
        transaction.execute_raw(self.db.statement(&sql, [rows.into()])).await.map(drop)
    }

    /// Records one event for several changes by the same actor, and its parts.
    async fn record_changes(
        &self,
        transaction: &DatabaseTransaction,
        actor: i64,
        changes: impl Iterator<Item = (event::Kind, i64)>,
        parts: &[Change],
    ) -> Result<(), DbErr> {
        let (kind, now) = (event::Kind::Several.into_value(), clock::now().trunc_subsecs(3));
        let values =
            [kind.into(), actor.into(), 0i64.into(), now.into(), event::changes(changes).into()];
        let statement = self.db.statement(event::INSERT_CHANGES, values);
        transaction.execute_raw(statement).await?;
        self.record_parts(transaction, parts).await
    }

    /// Checks that the viewer may write, if that needs a verified e-mail address.
    ///
    /// # Errors
    /// [`Error::Expected`] with `EmailNotVerified`.
    pub fn check_email_verified(&self, viewer: &Viewer) -> Result<(), Error> {
        if !self.require_verified_email || viewer.user().email_verified {
            return Ok(());
        }
        let message = "Verify your e-mail address first, by the link in the mail to it.";
        Err(UserErrorKind::EmailNotVerified.at(&[], message).into())
    }

    /// Wakes the task that sends mails, after a commit that has added a mail.
    fn wake_mail(&self) {
        if let Some(mail) = &self.mail {
            mail.wake();
        }
    }

    /// Commits a transaction of the viewer and notifies the event hub.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] when the database becomes unavailable during the commit; any error
    /// of the database.
    async fn commit(&self, transaction: WriteTransaction, viewer: &Viewer) -> Result<(), Error> {
        self.db.mark_write_pending(&transaction, viewer.session().id).await?;
        self.commit_without_session(transaction).await
    }

    /// Commits a transaction of a client without a session, and notifies the event hub.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    async fn commit_without_session(&self, transaction: WriteTransaction) -> Result<(), Error> {
        let committed = transaction.commit().await.map_err(|error| match error.into() {
            Error::Unavailable => Error::OutcomeUnknown,
            error => error,
        });
        self.db.notifier().notify();
        committed
    }
}

/// A change that an event reports.
#[derive(Clone, Copy, Debug)]
struct Change {
    kind: event::Kind,
    actor: i64,
    object: i64,
}

impl Change {
    /// The change of a count of a post.
    fn counted(post: &entity::post::Model) -> Self {
        Self { kind: event::Kind::PostCounted, actor: post.author_id, object: post.id }
    }
}

/// The result of an operation on the relationship of the viewer to another user.
#[derive(Clone, Copy, Debug)]
pub struct RelationshipChange {
    /// Whether the operation changed anything.
    pub changed: bool,
    /// Id of the other user.
    pub user: i64,
}

/// The result of an operation on a post.
#[derive(Clone, Copy, Debug)]
pub struct PostChange {
    /// Whether the operation changed anything.
    pub changed: bool,
    /// Id of the post.
    pub post: i64,
}
