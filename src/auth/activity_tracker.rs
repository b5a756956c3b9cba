//! Writes `lastSeenAt` of users and `lastUsedAt` of sessions.
//!
//! Each is written at most once a minute, and not by the request itself: requests queue a record,
//! and a task writes all records of one second in one transaction (write-behind).

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use entity::user;
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, QuerySelect as _};
use tokio::sync::mpsc;

use super::Viewer;
use crate::clock;
use crate::database::Database;
use crate::error::Error;

/// Shortest interval between two writes of the same time.
const MIN_WRITE_INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// Time for which records are collected before they are written together.
const FLUSH_DELAY: Duration = Duration::from_secs(1);
/// Maximum number of queued records.
///
/// Further ones are dropped; the next request of the session records again.
const QUEUE_LIMIT: usize = 4_096;

/// Records the activity of viewers. The writing task ends with the last clone.
#[derive(Clone)]
pub struct ActivityTracker(mpsc::Sender<(i64, i64)>);

impl ActivityTracker {
    /// Starts the task that writes the records.
    #[must_use]
    pub fn start(db: Database) -> Self {
        let (sender, mut records) = mpsc::channel(QUEUE_LIMIT);
        tokio::spawn(async move {
            while let Some((session, user)) = records.recv().await {
                tokio::time::sleep(FLUSH_DELAY).await;
                let mut active = HashMap::from([(session, user)]);
                while let Ok((session, user)) = records.try_recv() {
                    active.insert(session, user);
                }
                if let Err(error) = write(&db, &active).await {
                    tracing::debug!(
                        ?error,
                        "could not write last-seen times; later requests record again"
                    );
                }
            }
        });
        Self(sender)
    }

    /// Queues a record of the viewer's activity.
    ///
    /// Does nothing if both stored times are less than a minute old. A time in the future, of a
    /// clock that was wrong, is replaced too.
    pub fn record(&self, viewer: &Viewer) {
        let now = clock::now();
        let is_fresh = |at: DateTime<Utc>| (now - at).abs() < MIN_WRITE_INTERVAL;
        if !viewer.user().last_seen_at.is_some_and(is_fresh)
            || !is_fresh(viewer.session().last_used_at)
        {
            let _ = self.0.try_send((viewer.session().id, viewer.id()));
        }
    }
}

/// Writes the current time for active sessions and their users.
async fn write(db: &Database, active: &HashMap<i64, i64>) -> Result<(), Error> {
    let now = clock::now();
    let engine = db.engine();
    let in_list = engine.in_list_sql("id", 3);
    let users = format!(
        "UPDATE \"user\" SET last_seen_at = $1 \
         WHERE (last_seen_at IS NULL OR last_seen_at NOT BETWEEN $2 AND $4) AND {in_list}"
    );
    let sessions = format!(
        "UPDATE session SET last_used_at = $1 \
         WHERE last_used_at NOT BETWEEN $2 AND $4 AND {in_list}"
    );
    let transaction = db.begin().await?;
    let is_active = user::Column::Id.is_in(active.values().copied());
    let lock = user::Entity::find_for_update(is_active).select_only().column(user::Column::Id);
    lock.into_tuple::<i64>().all(&transaction).await?;
    for (sql, ids) in [
        (users, engine.bind_ids(active.values().copied())),
        (sessions, engine.bind_ids(active.keys().copied())),
    ] {
        let (oldest, newest) = (now - MIN_WRITE_INTERVAL, now + MIN_WRITE_INTERVAL);
        let values = [now.into(), oldest.into(), ids, newest.into()];
        transaction.execute_raw(db.statement(&sql, values)).await?;
    }
    transaction.commit().await?;
    Ok(())
}
