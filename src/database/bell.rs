//! The bell that is rung when something was written: whoever watches looks then, and not all the time. On
//! PostgreSQL the other instances hear it as a notification.
//!
//! It only says when to look, never what there is; so one that is not heard delays, and loses nothing. It is
//! rung after the commit, from a connection of its own, once for all that was written since: inside the
//! transaction, each commit would wait for every other's.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::sqlx::{self, PgPool};
use tokio::sync::Notify;

const CHANNEL: &str = "rookery_event";
/// At most one notification goes out in this time.
const GAP: Duration = Duration::from_millis(2);
/// How long to wait before the server is tried again.
const BREATHER: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub struct Bell {
    rung: Arc<Notify>,
    /// For the other instances.
    outwards: Arc<Notify>,
    /// One connection to speak, one to listen.
    pool: Arc<OnceLock<PgPool>>,
}

impl Bell {
    pub fn ring(&self) {
        self.rung.notify_one();
        self.outwards.notify_one();
    }

    /// For this instance alone: somebody has come who wants to hear.
    pub fn ring_here(&self) {
        self.rung.notify_one();
    }

    /// Waits until it was rung since the last time, by anybody; at most for `patience`.
    pub async fn heard(&self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.rung.notified()).await;
    }

    /// Rings it on the other instances, and hears them, until it is closed.
    pub(super) fn connect(&self, pool: PgPool) {
        let _ = self.pool.set(pool.clone());
        // Nobody needs to hear themselves.
        let name = format!("{:032x}", rand::random::<u128>());
        tokio::spawn(self.clone().tell(pool.clone(), name.clone()));
        tokio::spawn(self.clone().hear(pool, name));
    }

    pub(super) async fn close(&self) {
        if let Some(pool) = self.pool.get() {
            pool.close().await;
        }
    }

    async fn tell(self, pool: PgPool, name: String) {
        while !pool.is_closed() {
            tokio::select! {
                () = self.outwards.notified() => {}
                () = pool.close_event() => break,
            }
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(&name);
            if let Err(error) = notify.execute(&pool).await {
                tracing::debug!(%error, "the other instances will look by themselves");
            }
            tokio::time::sleep(GAP).await;
        }
    }

    async fn hear(self, pool: PgPool, name: String) {
        while !pool.is_closed() {
            let listened = tokio::select! {
                listened = self.listen(&pool, &name) => listened,
                () = pool.close_event() => break,
            };
            if let Err(error) = listened {
                tracing::debug!(%error, "the other instances are not heard");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }

    async fn listen(&self, pool: &PgPool, name: &str) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        // Something may have been said before.
        self.rung.notify_one();
        loop {
            // Nothing at all when the connection was lost; what was said meanwhile is not heard.
            let heard = listener.try_recv().await?;
            if heard.is_none_or(|heard| heard.payload() != name) {
                self.rung.notify_one();
            }
        }
    }
}
