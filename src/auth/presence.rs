//! Who was here: `lastSeenAt` of users and `lastUsedAt` of sessions, written at most once a minute, off
//! the path of requests, all that came together in one transaction.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use entity::user;
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, QuerySelect as _};
use tokio::sync::mpsc;

use super::Viewer;
use crate::database::Database;
use crate::error::Error;

/// Times are written at most this often.
const EVERY: TimeDelta = TimeDelta::minutes(1);
/// How long notes are gathered for one write.
const GATHER: Duration = Duration::from_secs(1);
/// Notes that wait; what is beyond is noted again by the next request.
const MOST_WAITING: usize = 4_096;

/// Takes notes; the writing is a task of its own, which ends with the last clone.
#[derive(Clone)]
pub struct Presence(mpsc::Sender<(i64, i64)>);

impl Presence {
    #[must_use]
    pub fn start(db: Database) -> Self {
        let (sender, mut notes) = mpsc::channel(MOST_WAITING);
        tokio::spawn(async move {
            while let Some((session, user)) = notes.recv().await {
                tokio::time::sleep(GATHER).await;
                let mut seen = HashMap::from([(session, user)]);
                while let Ok((session, user)) = notes.try_recv() {
                    seen.insert(session, user);
                }
                if let Err(error) = write(&db, &seen).await {
                    tracing::debug!(?error, "who was here will be written later");
                }
            }
        });
        Self(sender)
    }

    /// Notes that the viewer is here, unless that was written within the last minute.
    pub fn note(&self, viewer: &Viewer) {
        let stale = Utc::now() - EVERY;
        let seen = viewer.user().last_seen_at.is_some_and(|seen| seen > stale);
        if !seen || viewer.session().last_used_at <= stale {
            let _ = self.0.try_send((viewer.session().id, viewer.id()));
        }
    }
}

async fn write(db: &Database, seen: &HashMap<i64, i64>) -> Result<(), Error> {
    let now = Utc::now();
    let engine = db.engine();
    let these = engine.is_in("id", 3);
    let users = format!(
        "UPDATE \"user\" SET last_seen_at = $1 \
         WHERE (last_seen_at IS NULL OR last_seen_at <= $2) AND {these}"
    );
    let sessions =
        format!("UPDATE session SET last_used_at = $1 WHERE last_used_at <= $2 AND {these}");
    let transaction = db.begin().await?;
    let here = user::Column::Id.is_in(seen.values().copied());
    let locked = user::Entity::locked(here).select_only().column(user::Column::Id);
    locked.into_tuple::<i64>().all(&transaction).await?;
    for (sql, keys) in [
        (users, engine.keys(seen.values().copied())),
        (sessions, engine.keys(seen.keys().copied())),
    ] {
        let values = [now.into(), (now - EVERY).into(), keys];
        transaction.execute_raw(db.statement(&sql, values)).await?;
    }
    transaction.commit().await?;
    Ok(())
}
