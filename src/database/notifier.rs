//! Wakes the event hub after a commit, so that it need not poll constantly.
//!
//! On PostgreSQL the other instances are woken through LISTEN/NOTIFY. A notification carries no
//! event: if one is lost, delivery is delayed until the next poll. `NOTIFY` is sent after the
//! commit, on a connection of its own, once for all commits since the last one. In the transaction
//! it would take a lock that is global to the server at commit, so that commits would wait for each
//! other.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::sqlx::{self, PgPool};
use tokio::sync::Notify;

use super::open::timeouts;
use super::postgres::{self, Purpose};
use super::{Database, Engine};
use crate::config::DatabaseConfig;

const CHANNEL: &str = "rookery_event";
/// Shortest interval between two notifications to other instances.
const MIN_NOTIFY_INTERVAL: Duration = Duration::from_millis(2);
/// Pause before listening again after an error.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// A coalescing wake-up signal: "events may have been written". Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ChangeNotifier {
    changed: Arc<Notify>,
    /// Wakes the task that notifies the other instances.
    outbound: Arc<Notify>,
    /// Two connections: one for `NOTIFY` and one for `LISTEN`.
    pool: Arc<OnceLock<PgPool>>,
}

impl ChangeNotifier {
    /// Wakes the event hubs of all instances.
    pub fn notify(&self) {
        self.changed.notify_one();
        self.outbound.notify_one();
    }

    /// Wakes the event hub of this instance only, as for a new subscriber.
    pub fn notify_local(&self) {
        self.changed.notify_one();
    }

    /// Waits for a notification since the last call, at most for `timeout`.
    pub async fn notified(&self, timeout: Duration) {
        let _ = tokio::time::timeout(timeout, self.changed.notified()).await;
    }

    /// Starts the tasks that notify other instances and listen to them.
    ///
    /// They end with [`Self::close`].
    pub(super) fn start_listener(&self, pool: PgPool) {
        let _ = self.pool.set(pool.clone());
        // The payload of this instance's notifications, by which it ignores its own.
        let sender = format!("{:032x}", rand::random::<u128>());
        tokio::spawn(self.clone().publish_loop(pool.clone(), sender.clone()));
        tokio::spawn(self.clone().listen_loop(pool, sender));
    }

    pub(super) async fn close(&self) {
        if let Some(pool) = self.pool.get() {
            pool.close().await;
        }
    }

    async fn publish_loop(self, pool: PgPool, sender: String) {
        while !pool.is_closed() {
            tokio::select! {
                () = self.outbound.notified() => {}
                () = pool.close_event() => break,
            }
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(&sender);
            if let Err(error) = notify.execute(&pool).await {
                tracing::debug!(%error, "NOTIFY failed; the other instances fall back to polling");
            }
            tokio::time::sleep(MIN_NOTIFY_INTERVAL).await;
        }
    }

    async fn listen_loop(self, pool: PgPool, own_sender: String) {
        while !pool.is_closed() {
            let listened = tokio::select! {
                listened = self.listen(&pool, &own_sender) => listened,
                () = pool.close_event() => break,
            };
            if let Err(error) = listened {
                tracing::debug!(%error, "LISTEN failed; falling back to polling until it works");
                tokio::time::sleep(RECONNECT_DELAY).await;
            }
        }
    }

    async fn listen(&self, pool: &PgPool, own_sender: &str) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        // Notifications before LISTEN were not received.
        self.changed.notify_one();
        loop {
            // `None` when the connection was lost: notifications may have been missed.
            let notification = listener.try_recv().await?;
            if notification.is_none_or(|notification| notification.payload() != own_sender) {
                self.changed.notify_one();
            }
        }
    }
}

impl Database {
    /// Connects the notifier with the other instances, until the database is closed.
    ///
    /// Returns whether it did. It does not on SQLite, which has one instance, nor behind a
    /// connection pooler, which does not pass notifications on.
    ///
    /// # Errors
    /// When the URL of the database is not valid.
    pub fn start_notifier(&self, config: &DatabaseConfig) -> anyhow::Result<bool> {
        let has_notify = self.engine == Engine::Postgres && self.reader.applies_startup_options;
        if has_notify {
            let options = postgres::options(config.url())?;
            self.notifier.start_listener(postgres::pool(
                options,
                2,
                timeouts(config),
                Purpose::Write,
            ));
        }
        Ok(has_notify)
    }
}
