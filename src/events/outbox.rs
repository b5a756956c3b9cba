//! The outbox: the table of events, read after a position and pruned by age.
//!
//! A write of posts or relationships, or the deletion of an account, inserts its event in its own
//! transaction (transactional outbox). An event therefore exists if and only if its change was
//! committed. Its key is the transaction's id. On PostgreSQL transactions are not committed in the
//! order of their ids. A read therefore returns the events after the highest id of a position, and
//! those of transactions that were in progress at that position.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use entity::event;
use sea_orm::{ActiveEnum as _, ConnectionTrait as _, FromQueryResult};

use super::authors::Authors;
use crate::clock;
use crate::database::{Database, Engine, Snapshot, StreamPosition};
use crate::error::Error;

/// Maximum number of later events that one read returns.
pub const BATCH_SIZE: usize = 1_000;
/// Maximum number of missed events of one timeline's authors that are replayed.
pub const MAX_REPLAYED: usize = 1_000;
/// Maximum number of changed counts that a replay looks at.
///
/// On PostgreSQL also that of events of one author.
pub const MAX_SCANNED: usize = 10_000;
/// Number of the oldest events that one transaction considers for deletion.
const MAX_PRUNED: usize = 10_000;

static EVENT_COLUMNS: LazyLock<String> = LazyLock::new(event::columns_sql);

/// Consecutive events, in the order of their transaction ids.
pub struct EventBatch {
    pub events: Vec<event::Model>,
    /// The position after the batch.
    pub position: StreamPosition,
    /// Whether the snapshot contains no events after the batch.
    pub is_last: bool,
}

/// The users whose events may concern a timeline.
pub struct TimelineUsers {
    pub owner: i64,
    /// Number of users that the owner follows.
    pub followed: usize,
    /// Users that the owner has followed for a part of the time.
    pub others: HashSet<i64>,
}

/// Reads the first events that `snapshot` contains and `position` does not.
pub async fn read_after(
    snapshot: &Snapshot,
    position: &StreamPosition,
) -> Result<EventBatch, Error> {
    let end = snapshot.stream_position().await?;
    let engine = snapshot.engine();
    let columns = &*EVENT_COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM (SELECT * FROM event WHERE {} \
         UNION ALL SELECT * FROM (SELECT * FROM event WHERE txn >= $2 \
           ORDER BY txn LIMIT {BATCH_SIZE}) AS later) AS event ORDER BY txn",
        engine.in_list_sql("txn", 1)
    );
    let in_progress = engine.bind_ids(position.in_progress().iter().copied());
    let values = [in_progress, position.next_txn().into()];
    let events: Vec<event::Model> = snapshot.all(BATCH_SIZE, &sql, values).await?;
    let is_last = events.len() < BATCH_SIZE;
    let position = match events.last() {
        Some(last) if !is_last => position.advance_to(last.into(), &end),
        _ => end,
    };
    Ok(EventBatch { events, position, is_last })
}

/// The changes of the authors of a timeline after `position`, in order.
///
/// They are the owner's follows, blocks and mutes, and blocks of the owner and their ends. `None`
/// if there are more than [`MAX_REPLAYED`] events by or blocks of the owner.
pub async fn author_changes_after(
    snapshot: &Snapshot,
    position: &StreamPosition,
    owner: i64,
) -> Result<Option<Vec<event::Model>>, Error> {
    use event::Kind::{Blocked, Followed, Muted, Several, Unblocked, Unfollowed, Unmuted};
    let engine = snapshot.engine();
    let columns = &*EVENT_COLUMNS;
    let limit = MAX_REPLAYED + 1;
    let later = events_of_actor(engine, "$3", limit);
    let is_of_kinds = |kinds: &[event::Kind]| {
        let kinds: Vec<String> = kinds.iter().map(|kind| kind.into_value().to_string()).collect();
        format!("kind IN ({})", kinds.join(", "))
    };
    let is_block = format!("object = $3 AND {}", is_of_kinds(&[Blocked, Unblocked]));
    let is_part = [Followed, Unfollowed, Unmuted, Unblocked];
    let is_part = format!("actor = $3 AND {}", is_of_kinds(&is_part));
    let in_progress_sql = engine.in_list_sql("txn", 1);
    let sql = format!(
        "SELECT {columns} FROM ({later}) AS event \
         UNION ALL SELECT {columns} FROM event WHERE {is_block} AND txn >= $2 \
         UNION ALL SELECT {columns} FROM event WHERE txn IN ( \
           SELECT txn FROM event_part WHERE {is_part} AND txn >= $2) \
         UNION ALL SELECT {columns} FROM event WHERE {in_progress_sql} \
           AND (actor = $3 OR {is_block} OR txn IN ( \
             SELECT txn FROM event_part WHERE {is_part} AND {in_progress_sql})) \
         ORDER BY txn LIMIT {limit}"
    );
    let in_progress = engine.bind_ids(position.in_progress().iter().copied());
    let values = [in_progress, position.next_txn().into(), owner.into()];
    let events: Vec<event::Model> = snapshot.all(2, &sql, values).await?;
    snapshot.charge_read(events.iter().map(event::Model::rows).sum());
    let is_complete = events.len() <= MAX_REPLAYED;
    let is_change = |change: &event::Model| match change.kind {
        Followed | Unfollowed | Muted | Unmuted | Several => change.actor == owner,
        Blocked | Unblocked => change.actor == owner || change.object == owner,
        _ => false,
    };
    let changes = events.iter().flat_map(event::Model::with_parts);
    Ok(is_complete.then(|| changes.filter(is_change).collect()))
}

/// A query for the first events of an actor from transaction `$2` on.
///
/// Events that concern no timeline and changed counts are left out.
///
/// On PostgreSQL it compares pairs, which only the index `event_actor` can order. Given `actor =`
/// and `ORDER BY txn`, the planner reads the events of all actors if few of them cause many.
fn events_of_actor(engine: Engine, actor: &str, limit: usize) -> String {
    let (index, range) = match engine {
        Engine::Sqlite => ("INDEXED BY event_actor", format!("actor = {actor} AND txn >= $2")),
        Engine::Postgres => {
            let end = i64::MAX;
            ("", format!("(actor, txn) >= ({actor}, $2) AND (actor, txn) < ({actor}, {end})"))
        }
    };
    format!(
        "SELECT * FROM event {index} WHERE {range} AND {} \
         ORDER BY actor, txn LIMIT {limit}",
        *CONCERNS_TIMELINES
    )
}

/// The condition that an event can concern a timeline, except for changed counts.
static CONCERNS_TIMELINES: LazyLock<String> = LazyLock::new(|| {
    use event::Kind::{NotificationWithdrawn, NotificationsRead, Notified, PostCounted};
    let others = [PostCounted, Notified, NotificationWithdrawn, NotificationsRead];
    let others = others.map(|kind| kind.into_value().to_string()).join(", ");
    format!("kind NOT IN ({others})")
});

/// The ids of the users whose events may concern a timeline, from `$3` and `$4`.
fn users_sql(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "SELECT value FROM json_each($3) UNION ALL SELECT $4 \
             UNION ALL SELECT followed_id FROM follow WHERE follower_id = $4"
        }
        Engine::Postgres => {
            "SELECT unnest($3::bigint[]) UNION SELECT $4 \
             UNION SELECT followed_id FROM follow WHERE follower_id = $4"
        }
    }
}

/// A query for rows of `event` or `event_part` by the users of [`users_sql`].
///
/// `first` is an expression with the first transaction.
pub fn by_users(engine: Engine, table: &str, first: &str, condition: &str) -> String {
    let users = users_sql(engine);
    match engine {
        Engine::Sqlite => {
            let index = if table == "event" { "INDEXED BY event_actor" } else { "" };
            format!(
                "SELECT * FROM {table} {index} \
                 WHERE txn >= {first} AND actor IN ({users}) AND {condition}"
            )
        }
        Engine::Postgres => {
            let end = i64::MAX;
            format!(
                "SELECT later.* FROM ({users}) AS source (id) CROSS JOIN LATERAL ( \
                   SELECT * FROM {table} WHERE (actor, txn) >= (source.id, {first}) \
                   AND (actor, txn) < (source.id, {end}) AND {condition} \
                   ORDER BY actor, txn LIMIT {MAX_SCANNED}) AS later"
            )
        }
    }
}

/// The events after `position` that may concern a timeline.
///
/// They are the events by `users`, and those that concern every timeline. `None` if there are more
/// than [`MAX_REPLAYED`].
///
/// The statement reads the followed users itself. Over TLS, a list of thousands of ids would be
/// sent in several parts. The last part would be delayed by 40 ms, because sqlx 0.9.0 does not set
/// `TCP_NODELAY`.
pub async fn read_for_timeline(
    snapshot: &Snapshot,
    position: &StreamPosition,
    users: &TimelineUsers,
) -> Result<Option<BTreeMap<i64, event::Model>>, Error> {
    let TimelineUsers { owner, followed, others } = users;
    let rows = 1 + followed + others.len();
    let engine = snapshot.engine();
    let columns = &*EVENT_COLUMNS;
    let of_all = event::Kind::UserRemoved.into_value();
    let limit = MAX_REPLAYED + 1;
    let by_actors = by_users(engine, "event", "$2", &CONCERNS_TIMELINES);
    let parts = by_users(engine, "event_part", "$2", &CONCERNS_TIMELINES);
    let sql = format!(
        "SELECT {columns} FROM event WHERE {} \
         UNION ALL SELECT {columns} FROM event WHERE kind >= {of_all} AND txn >= $2 \
         UNION ALL SELECT {columns} FROM ({by_actors}) AS event WHERE kind < {of_all} \
         UNION ALL SELECT {columns} FROM event \
           WHERE kind < {of_all} AND txn IN (SELECT txn FROM ({parts}) AS parts) \
         LIMIT {limit}",
        engine.in_list_sql("txn", 1)
    );
    let in_progress = engine.bind_ids(position.in_progress().iter().copied());
    let others = engine.bind_ids(others.iter().copied());
    let values = [in_progress, position.next_txn().into(), others, (*owner).into()];
    let events: Vec<event::Model> = snapshot.all(rows, &sql, values).await?;
    snapshot.charge_read(events.iter().map(event::Model::rows).sum());
    let by_txn = |event: event::Model| (event.txn, event);
    Ok((events.len() <= MAX_REPLAYED).then(|| events.into_iter().map(by_txn).collect()))
}

/// Leaves out reposts that a timeline with these authors does not show.
pub async fn retain_shown_reposts(
    snapshot: &Snapshot,
    events: &mut VecDeque<event::Model>,
    authors: &Authors,
) -> Result<(), Error> {
    #[derive(FromQueryResult)]
    struct Repost {
        id: i64,
        subject_id: i64,
    }
    let is_repost = |event: &event::Model| event.kind == event::Kind::Reposted;
    let items: Vec<i64> =
        events.iter().filter(|event| is_repost(event)).map(|event| event.object).collect();
    if items.is_empty() {
        return Ok(());
    }
    let (engine, rows) = (snapshot.engine(), 2 * items.len());
    let sql = format!(
        "SELECT item.id, item.subject_id FROM feed_item AS item \
         JOIN \"user\" AS subject ON subject.id = item.subject_id \
         WHERE {} AND NOT subject.is_protected",
        engine.in_list_sql("item.id", 1)
    );
    let found: Vec<Repost> = snapshot.all(rows, &sql, [engine.bind_ids(items)]).await?;
    let shown = found.into_iter().filter(|repost| authors.shows_reposts_of(repost.subject_id));
    let shown: HashSet<i64> = shown.map(|repost| repost.id).collect();
    events.retain(|event| !is_repost(event) || shown.contains(&event.object));
    Ok(())
}

/// Whether the outbox still has every event after `position`.
///
/// False as well if the position's last event differs from the event with the same id, because the
/// database was restored to an earlier state.
pub async fn retains(snapshot: &Snapshot, position: &StreamPosition) -> Result<bool, Error> {
    #[derive(FromQueryResult)]
    struct Retained {
        /// The oldest event.
        first: Option<i64>,
        /// The time of the event that has the id of the position's last event.
        at: Option<DateTime<Utc>>,
    }
    let sql = "SELECT (SELECT min(txn) FROM event) AS first, \
        (SELECT at FROM event WHERE txn = $1) AS at";
    let last = position.last();
    let rows: Vec<Retained> = snapshot.all(2, sql, [last.txn.into()]).await?;
    Ok(rows.iter().any(|row| {
        let is_complete = row.first.is_some_and(|first| first <= position.first_not_contained());
        is_complete && row.at.is_some_and(|at| at.timestamp_micros() == last.at)
    }))
}

#[derive(FromQueryResult)]
struct ExpiredRange {
    first: Option<i64>,
    last: Option<i64>,
}

/// The range of the expired events among the oldest [`MAX_PRUNED`] events.
///
/// An event has expired if it precedes all events recorded at or after `since`.
async fn expired_range(snapshot: &Snapshot, since: DateTime<Utc>) -> Result<ExpiredRange, Error> {
    let sql = format!(
        "SELECT min(txn) AS first, max(txn) AS last \
         FROM (SELECT txn FROM event ORDER BY txn LIMIT {MAX_PRUNED}) AS oldest \
         WHERE txn < coalesce((SELECT txn FROM event WHERE at >= $1 ORDER BY txn LIMIT 1), {})",
        i64::MAX
    );
    let rows = snapshot.all(MAX_PRUNED, &sql, [since.into()]).await?;
    Ok(rows.into_iter().next().unwrap_or(ExpiredRange { first: None, last: None }))
}

/// Deletes a batch of events older than `retention`.
///
/// Returns whether there may be more of them. The newest expired event is kept: it marks how far
/// back the outbox reaches.
pub async fn prune(db: &Database, retention: Duration) -> Result<bool, Error> {
    let snapshot = Snapshot::new(db);
    let range = expired_range(&snapshot, clock::now() - retention).await?;
    let ExpiredRange { first: Some(first), last: Some(last) } = range else {
        return Ok(false);
    };
    // No transaction that is in progress may later commit an event before the mark.
    let mark = last.min(snapshot.stream_position().await?.first_not_contained() - 1);
    drop(snapshot);
    if mark <= first {
        return Ok(false);
    }
    let transaction = db.begin().await?;
    let sql = "DELETE FROM event WHERE txn < (SELECT max(txn) FROM event WHERE txn <= $1)";
    let pruned = transaction.execute_raw(db.statement(sql, [mark.into()])).await?;
    let parts = "DELETE FROM event_part WHERE txn < (SELECT min(txn) FROM event)";
    transaction.execute_unprepared(parts).await?;
    transaction.commit().await?;
    Ok(pruned.rows_affected() + 1 >= MAX_PRUNED as u64)
}

/// Empties the outbox if the database was restored into another PostgreSQL cluster.
///
/// The events then have transaction ids that this cluster has yet to assign. The outbox starts
/// again with [`event::Kind::LogStarted`]. On SQLite nothing is done.
pub async fn reset_if_restored(db: &Database) -> Result<(), Error> {
    if db.engine() == Engine::Sqlite {
        return Ok(());
    }
    let transaction = db.begin().await?;
    // An event that another instance has recorded during its own start has a valid id and is kept.
    let delete = "DELETE FROM event WHERE (SELECT max(txn) FROM event) >= \
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    transaction.execute_unprepared(delete).await?;
    let insert = "INSERT INTO event (kind, actor, object, at) \
        SELECT $1, 0, 0, $2 WHERE NOT EXISTS (SELECT 1 FROM event)";
    let kind = event::Kind::LogStarted.into_value();
    transaction.execute_raw(db.statement(insert, [kind.into(), clock::now().into()])).await?;
    transaction.commit().await?;
    Ok(())
}
