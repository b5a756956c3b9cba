//! The events as they are stored: what happened since a moment, how far back the table reaches, and what
//! of it is old enough to go.

use std::time::Duration;

use chrono::{DateTime, Utc};
use entity::event;
use sea_orm::{ActiveEnum as _, ConnectionTrait as _, FromQueryResult};

use crate::database::{Database, Engine, Moment, Snapshot};
use crate::error::Error;

/// Events that are read at once.
pub const CHUNK: usize = 1_000;
/// Events that go in one transaction.
const MOST_PRUNED: usize = 10_000;

/// The columns of an event. What a newer version has written, and this one does not know, may have changed anything:
/// whoever watches reads anew.
const EVENT: &str = "txn, CAST(CASE WHEN kind BETWEEN 0 AND 7 THEN kind ELSE 7 END AS smallint) AS kind, actor, object, at";

/// Some of what happened, in order.
pub struct Chapter {
    pub events: Vec<event::Model>,
    /// How far they tell.
    pub until: Moment,
    /// Nothing else has happened.
    pub is_last: bool,
}

/// What `told` has not seen and the snapshot has, from the beginning.
pub async fn since(snapshot: &Snapshot, told: &Moment) -> Result<Chapter, Error> {
    let now = snapshot.moment().await?;
    let engine = snapshot.engine();
    let sql = format!(
        "SELECT {EVENT} FROM (SELECT * FROM event WHERE {} \
         UNION ALL SELECT * FROM (SELECT * FROM event WHERE txn >= $2 ORDER BY txn LIMIT {CHUNK}) \
           AS later) AS unseen ORDER BY txn",
        engine.is_in("txn", 1)
    );
    let values = [engine.keys(told.open().iter().copied()), told.next().into()];
    let events: Vec<event::Model> = snapshot.all(&sql, values).await?;
    let is_last = events.len() < CHUNK;
    let until = match events.last() {
        Some(last) if !is_last => told.up_to(last.into(), &now),
        _ => now,
    };
    Ok(Chapter { events, until, is_last })
}

/// The follows that `viewer` made and unmade since `told`, in order.
pub async fn follows_since(
    snapshot: &Snapshot,
    told: &Moment,
    viewer: i64,
) -> Result<Vec<event::Model>, Error> {
    let engine = snapshot.engine();
    let kinds = [event::Kind::Followed, event::Kind::Unfollowed].map(event::Kind::into_value);
    let sql = format!(
        "SELECT {EVENT} FROM event WHERE txn >= $2 AND actor = $3 AND kind IN ({}, {}) \
         UNION ALL SELECT {EVENT} FROM event WHERE {} AND actor = $3 ORDER BY txn",
        kinds[0],
        kinds[1],
        engine.is_in("txn", 1)
    );
    let open = engine.keys(told.open().iter().copied());
    let events: Vec<event::Model> =
        snapshot.all(&sql, [open, told.next().into(), viewer.into()]).await?;
    Ok(events.into_iter().filter(|event| kinds.contains(&event.kind.to_value())).collect())
}

/// Whether this database was at that moment, and all that has happened since is still there.
pub async fn reaches(snapshot: &Snapshot, told: &Moment) -> Result<bool, Error> {
    #[derive(FromQueryResult)]
    struct Reach {
        first: Option<i64>,
        at: Option<DateTime<Utc>>,
    }
    let sql = "SELECT (SELECT min(txn) FROM event) AS first, \
        (SELECT at FROM event WHERE txn = $1) AS at";
    let found: Vec<Reach> = snapshot.all(sql, [told.last().txn.into()]).await?;
    Ok(found.iter().any(|reach| {
        let is_all = reach.first.is_some_and(|first| first <= told.first_unseen());
        is_all && reach.at.is_some_and(|at| at.timestamp_micros() == told.last().at)
    }))
}

#[derive(FromQueryResult)]
struct Oldest {
    first: Option<i64>,
    last: Option<i64>,
}

/// The first event, and the last of the first few before which all happened before a moment.
async fn oldest(snapshot: &Snapshot, before: DateTime<Utc>) -> Result<Oldest, Error> {
    let sql = format!(
        "SELECT min(txn) AS first, max(txn) AS last \
         FROM (SELECT txn FROM event ORDER BY txn LIMIT {MOST_PRUNED}) AS oldest \
         WHERE txn < coalesce((SELECT txn FROM event WHERE at >= $1 ORDER BY txn LIMIT 1), {})",
        i64::MAX
    );
    let found = snapshot.all(&sql, [before.into()]).await?;
    Ok(found.into_iter().next().unwrap_or(Oldest { first: None, last: None }))
}

/// Lets go of what happened longer ago than `retention`; says whether there may be more. The last of it stays, as
/// the mark of how far back the table reaches.
pub async fn prune(db: &Database, retention: Duration) -> Result<bool, Error> {
    let snapshot = Snapshot::new(db);
    let before = Utc::now() - retention;
    let Oldest { first: Some(first), last: Some(last) } = oldest(&snapshot, before).await? else {
        return Ok(false);
    };
    // Nothing may yet be committed before the mark.
    let mark = last.min(snapshot.moment().await?.first_unseen() - 1);
    drop(snapshot);
    if mark <= first {
        return Ok(false);
    }
    let transaction = db.begin().await?;
    let sql = "DELETE FROM event WHERE txn < (SELECT max(txn) FROM event WHERE txn <= $1)";
    let pruned = transaction.execute_raw(db.statement(sql, [mark.into()])).await?;
    transaction.commit().await?;
    Ok(pruned.rows_affected() + 1 >= MOST_PRUNED as u64)
}

/// On PostgreSQL, a database that was restored elsewhere has events with numbers that are still to come: the
/// table begins anew.
pub async fn settle(db: &Database) -> Result<(), Error> {
    if db.engine() == Engine::Sqlite {
        return Ok(());
    }
    let transaction = db.begin().await?;
    // What others who begin at the same time have begun stays.
    let gone = "DELETE FROM event WHERE (SELECT max(txn) FROM event) >= \
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    transaction.execute_unprepared(gone).await?;
    let began = "INSERT INTO event (kind, actor, object, at) \
        SELECT 0, 0, 0, $1 WHERE NOT EXISTS (SELECT 1 FROM event)";
    transaction.execute_raw(db.statement(began, [Utc::now().into()])).await?;
    transaction.commit().await?;
    Ok(())
}
