//! The task that sends the mails of the outbox.
//!
//! An attempt begins with a transaction that postpones the mail, and stores the hash of a new
//! token. The mail is then sent outside of a transaction, and its row is deleted. After a crash in
//! between it is sent again, once the delay has passed. Several instances share the work: each mail
//! is claimed by one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use entity::mail::Kind;
use entity::{mail, mail_token, user};
use futures_util::future::join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    FromQueryResult, PaginatorTrait as _, QueryFilter as _, Set,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use super::transport::SendError;
use super::{Draft, Mailer, lifetime};
use crate::auth::{hash_token, new_token};
use crate::clock;
use crate::database::{Database, Engine, Snapshot};
use crate::error::Error;
use crate::ids::{IdGenerator, snowflake};
use crate::retry::with_retries;

/// Maximum number of mails that are sent at a time.
const BATCH: u64 = 8;
/// Longest interval between two searches for mails.
///
/// They may be of another instance, or of before a crash.
const POLL_INTERVAL: Duration = Duration::from_mins(1);
/// Delay of the next search after an error.
///
/// It is also that of a search while another instance claims a mail.
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// Time after which a claimed mail is sent again, unless the attempt has ended.
///
/// It is longer than an attempt.
const CLAIM_TIME: TimeDelta = TimeDelta::minutes(5);
/// Delay of the second attempt.
///
/// It doubles for each further one, up to [`MAX_DELAY`].
const FIRST_DELAY: TimeDelta = TimeDelta::seconds(30);
const MAX_DELAY: TimeDelta = TimeDelta::hours(1);
/// Age from which a mail gets no further attempt.
const MAX_AGE: TimeDelta = TimeDelta::hours(24);
/// How often the result of an attempt is written while the database is unavailable.
const WRITE_ATTEMPTS: u32 = 5;

/// Maximum number of valid tokens of a user and a kind.
///
/// It bounds the mails that others can cause for an address.
pub const MAX_TOKENS: u64 = 5;

/// Wakes the task that sends mails. The task ends with the last clone.
#[derive(Clone)]
pub struct Outbox {
    wake: watch::Sender<()>,
    counters: Arc<Counters>,
}

/// What has become of mails since the start.
#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    failed: AtomicU64,
}

impl Outbox {
    /// Starts the task.
    #[must_use]
    pub fn start(db: Database, ids: Arc<IdGenerator>, mailer: Mailer) -> Self {
        let counters = Arc::new(Counters::default());
        let (wake, woken) = watch::channel(());
        let sender = Sender { db, ids, mailer, counters: Arc::clone(&counters) };
        tokio::spawn(sender.run(woken));
        Self { wake, counters }
    }

    /// Wakes the task after the commit of a transaction that has added a mail.
    pub fn wake(&self) {
        self.wake.send_replace(());
    }

    /// Number of mails that were sent.
    pub fn sent(&self) -> u64 {
        self.counters.sent.load(Ordering::Relaxed)
    }

    /// Number of attempts that failed.
    pub fn failed(&self) -> u64 {
        self.counters.failed.load(Ordering::Relaxed)
    }
}

struct Sender {
    db: Database,
    ids: Arc<IdGenerator>,
    mailer: Mailer,
    counters: Arc<Counters>,
}

#[derive(FromQueryResult)]
struct NextDue {
    due_at: Option<DateTime<Utc>>,
}

impl Sender {
    async fn run(self, mut woken: watch::Receiver<()>) {
        loop {
            // An error, such as an outage of the database, is logged where it occurs.
            let wait = self.send_due().await.unwrap_or(RETRY_DELAY);
            if let Ok(Err(_)) = tokio::time::timeout(wait, woken.changed()).await {
                return;
            }
        }
    }

    /// Sends the mails that are due. Returns the time until the next search.
    async fn send_due(&self) -> Result<Duration, Error> {
        loop {
            let sql = "SELECT min(due_at) AS due_at FROM mail";
            let next: Vec<NextDue> = Snapshot::new(&self.db).all(1, sql, []).await?;
            let Some(due_at) = next.first().and_then(|next| next.due_at) else {
                return Ok(POLL_INTERVAL);
            };
            if let Ok(wait) = (due_at - clock::now()).to_std()
                && !wait.is_zero()
            {
                return Ok(wait.min(POLL_INTERVAL));
            }
            let (claimed, drafts) = self.claim().await?;
            if claimed == 0 {
                return Ok(RETRY_DELAY);
            }
            join_all(drafts.into_iter().map(|(draft, attempts)| self.attempt(draft, attempts)))
                .await;
        }
    }

    /// Claims mails that are due, and prepares them.
    ///
    /// Returns their number, and the drafts of those that are still wanted, with their attempts.
    async fn claim(&self) -> Result<(usize, Vec<(Draft, i32)>), Error> {
        let now = clock::now().trunc_subsecs(3);
        // Another instance skips the rows instead of waiting for them.
        let lock = match self.db.engine() {
            Engine::Sqlite => "",
            Engine::Postgres => "FOR UPDATE SKIP LOCKED",
        };
        let sql = format!(
            "UPDATE mail SET attempts = attempts + 1, due_at = $1 WHERE id IN ( \
               SELECT id FROM mail WHERE due_at <= $2 ORDER BY due_at, id LIMIT {BATCH} {lock}) \
             RETURNING id, kind, email, user_id, attempts, due_at"
        );
        let claim = self.db.statement(&sql, [(now + CLAIM_TIME).into(), now.into()]);
        let transaction = self.db.begin().await?;
        let mails = mail::Model::find_by_statement(claim).all(&transaction).await?;
        let claimed = mails.len();
        let (mut drafts, mut unwanted) = (Vec::new(), Vec::new());
        for mail in mails {
            let (id, attempts) = (mail.id, mail.attempts);
            match self.draft(&transaction, mail, now).await? {
                Some(draft) => drafts.push((draft, attempts)),
                None => unwanted.push(id),
            }
        }
        if !unwanted.is_empty() {
            let is_unwanted = mail::Column::Id.is_in(unwanted);
            mail::Entity::delete_many().filter(is_unwanted).exec(&transaction).await?;
        }
        transaction.commit().await?;
        Ok((claimed, drafts))
    }

    /// The draft of a mail with a new token.
    ///
    /// `None` if the mail is not wanted any more.
    async fn draft(
        &self,
        transaction: &DatabaseTransaction,
        mail: mail::Model,
        now: DateTime<Utc>,
    ) -> Result<Option<Draft>, DbErr> {
        let mail::Model { id, kind, email, user_id, .. } = mail;
        let find = match user_id {
            Some(user) => user::Entity::find_by_id(user),
            None => user::Entity::find().filter(user::Column::Email.eq(&email)),
        };
        let Some(user) = find.one(transaction).await? else { return Ok(None) };
        let is_wanted = match kind {
            Kind::VerifyEmail => user.email == email && !user.email_verified,
            Kind::ResetPassword => {
                valid_tokens(transaction, user.id, kind, now).await? < MAX_TOKENS
            }
            Kind::EmailChanged => true,
        };
        if !is_wanted {
            return Ok(None);
        }
        let token = self.token(transaction, &user, kind, now).await?;
        Ok(Some(Draft { id, kind, to: email, username: user.username, token }))
    }

    /// A new token for the address of a user, whose hash is stored.
    ///
    /// `None` for a mail without a link.
    async fn token(
        &self,
        transaction: &DatabaseTransaction,
        user: &user::Model,
        kind: Kind,
        now: DateTime<Utc>,
    ) -> Result<Option<SecretString>, DbErr> {
        let lifetime = lifetime(kind);
        if lifetime.is_zero() {
            return Ok(None);
        }
        let token = new_token();
        let row = mail_token::ActiveModel {
            id: Set(self.ids.next()),
            user_id: Set(user.id),
            kind: Set(kind),
            email: Set(user.email.clone()),
            token_hash: Set(hash_token(token.expose_secret())),
            expires_at: Set(now + lifetime),
        };
        row.insert(transaction).await?;
        Ok(Some(token))
    }

    /// Sends a mail, and writes the result.
    async fn attempt(&self, draft: Draft, attempts: i32) {
        let (id, kind) = (draft.id, draft.kind);
        let sent = self.mailer.send(&draft).await;
        let counter = if sent.is_ok() { &self.counters.sent } else { &self.counters.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        let now = clock::now().trunc_subsecs(3);
        let is_last = now - snowflake::timestamp_of(id) >= MAX_AGE;
        let next_attempt = match sent {
            Ok(()) => {
                tracing::debug!(mail = id, ?kind, "sent a mail");
                None
            }
            Err(SendError { reason, is_permanent }) if is_permanent || is_last => {
                tracing::warn!(mail = id, ?kind, attempts, %reason, "gave up a mail");
                None
            }
            Err(SendError { reason, .. }) => {
                tracing::warn!(
                    mail = id,
                    ?kind,
                    attempts,
                    %reason,
                    "could not send a mail; will retry"
                );
                Some(now + delay_after(attempts))
            }
        };
        let pause = |_| tokio::time::sleep(RETRY_DELAY);
        let write = || self.finish(id, next_attempt);
        // If it cannot be written, the mail is sent again after the time of the claim.
        let _ = with_retries(WRITE_ATTEMPTS, |_| true, pause, write).await;
    }

    /// Deletes a mail, or sets the time of its next attempt.
    async fn finish(&self, id: i64, next_attempt: Option<DateTime<Utc>>) -> Result<(), Error> {
        let transaction = self.db.begin().await?;
        match next_attempt {
            None => mail::Entity::delete_by_id(id).exec(&transaction).await.map(drop)?,
            Some(due_at) => {
                mail::Entity::update_many()
                    .col_expr(mail::Column::DueAt, Expr::value(due_at))
                    .filter(mail::Column::Id.eq(id))
                    .exec(&transaction)
                    .await
                    .map(drop)?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// The delay of the next attempt after this many.
fn delay_after(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(10);
    (FIRST_DELAY * 2_i32.pow(doublings)).min(MAX_DELAY)
}

/// Number of tokens of a user and a kind that are valid at `now`.
///
/// # Errors
/// Any error of the database.
pub async fn valid_tokens(
    transaction: &DatabaseTransaction,
    user: i64,
    kind: Kind,
    now: DateTime<Utc>,
) -> Result<u64, DbErr> {
    mail_token::Entity::find()
        .filter(mail_token::Column::UserId.eq(user))
        .filter(mail_token::Column::Kind.eq(kind))
        .filter(mail_token::Column::ExpiresAt.gt(now))
        .count(transaction)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_an_hour() {
        let delays = [1, 2, 3, 7, 8, 9, 100, i32::MAX].map(delay_after);
        let seconds = delays.map(|delay| delay.num_seconds());
        assert_eq!(seconds, [30, 60, 120, 1_920, 3_600, 3_600, 3_600, 3_600]);
    }
}
