//! Posts whose counts have changed: subscribers receive each at most once a second.
//!
//! The first change of a post is dispatched at once, and those of the next second together. A
//! subscriber that disconnects meanwhile receives them in its replay, which looks back
//! [`REPLAY_LOOKBACK`].

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use entity::event;
use sea_orm::FromQueryResult;
use tokio::time::Instant;

use super::outbox::{MAX_REPLAYED, MAX_SCANNED, TimelineUsers, by_users};
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;

/// Minimum interval between two dispatches of the same post.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time before its position of which a replay repeats changed counts.
///
/// It exceeds [`INTERVAL`] by the time of a poll.
const REPLAY_LOOKBACK: TimeDelta = TimeDelta::seconds(5);

/// The number of [`event::Kind::PostCounted`]. Replays read these events apart.
const COUNTED: i16 = event::Kind::PostCounted as i16;

/// The posts with changed counts, by id.
#[derive(Default)]
pub struct CountedPosts(HashMap<i64, CountedPost>);

struct CountedPost {
    /// The newest change.
    event: event::Model,
    is_pending: bool,
    /// The time of the last dispatch.
    sent_at: Option<Instant>,
}

impl CountedPost {
    /// The time at which the post is dispatched.
    fn due_at(&self, now: Instant) -> Instant {
        self.sent_at.map_or(now, |sent_at| sent_at + INTERVAL)
    }
}

impl CountedPosts {
    /// Adds a change of the counts of a post.
    pub fn add(&mut self, event: event::Model) {
        let post = self.0.entry(event.object).or_insert_with(|| CountedPost {
            event: event.clone(),
            is_pending: true,
            sent_at: None,
        });
        post.event = event;
        post.is_pending = true;
    }

    /// The changes that are to be dispatched now.
    pub fn due(&self, now: Instant) -> Vec<event::Model> {
        let due = self.0.values().filter(|post| post.is_pending && post.due_at(now) <= now);
        due.map(|post| post.event.clone()).collect()
    }

    /// Time until the next dispatch.
    pub fn next_due(&self, now: Instant) -> Option<Duration> {
        let pending = self.0.values().filter(|post| post.is_pending);
        pending.map(|post| post.due_at(now).saturating_duration_since(now)).min()
    }

    /// Records the dispatch of changes, and forgets posts without further ones.
    pub fn mark_sent(&mut self, changes: &[event::Model], now: Instant) {
        for change in changes {
            if let Some(post) = self.0.get_mut(&change.object) {
                post.is_pending = false;
                post.sent_at = Some(now);
            }
        }
        self.0.retain(|_, post| post.is_pending || post.due_at(now) > now);
    }
}

/// The posts whose counts have changed since shortly before `position`.
///
/// They are events of the kind [`event::Kind::PostCounted`], one for each post. Their transaction
/// is 0, which precedes all events: the client has not received any other missed event before
/// them. `None` if there are more than [`MAX_REPLAYED`] posts or [`MAX_SCANNED`] changes.
pub async fn read_counted(
    snapshot: &Snapshot,
    position: &StreamPosition,
    users: &TimelineUsers,
) -> Result<Option<Vec<event::Model>>, Error> {
    #[derive(FromQueryResult)]
    struct Counted {
        actor: i64,
        object: i64,
        number: i64,
    }
    let TimelineUsers { owner, followed, others } = users;
    let (engine, last) = (snapshot.engine(), position.last());
    let at = DateTime::from_timestamp_micros(last.at).unwrap_or_default();
    let is_counted = format!("kind = {COUNTED}");
    let first = "(SELECT coalesce(max(txn), 0) + 1 FROM (SELECT txn FROM event \
        WHERE txn < $1 AND at < $2 ORDER BY txn DESC LIMIT 1) AS earlier)";
    let (events, parts) = (
        by_users(engine, "event", first, &is_counted),
        by_users(engine, "event_part", first, &is_counted),
    );
    let limit = MAX_REPLAYED + 1;
    // A transaction in progress may have begun before the first one that is looked at.
    let in_progress = format!("{is_counted} AND {}", engine.in_list_sql("txn", 5));
    let sql = format!(
        "SELECT max(actor) AS actor, object, count(*) AS number FROM ( \
           SELECT actor, object FROM ({events}) AS events \
           UNION ALL SELECT actor, object FROM ({parts}) AS parts \
           UNION ALL SELECT actor, object FROM event WHERE {in_progress} \
           UNION ALL SELECT actor, object FROM event_part WHERE {in_progress} \
           LIMIT {MAX_SCANNED}) AS counted \
         GROUP BY object LIMIT {limit}"
    );
    let values = [
        position.next_txn().into(),
        (at - REPLAY_LOOKBACK).into(),
        engine.bind_ids(others.iter().copied()),
        (*owner).into(),
        engine.bind_ids(position.in_progress().iter().copied()),
    ];
    let counted: Vec<Counted> = snapshot.all(1 + followed + others.len(), &sql, values).await?;
    let read: i64 = counted.iter().map(|post| post.number).sum();
    let read = usize::try_from(read).unwrap_or_default();
    snapshot.charge_read(read);
    let (txn, kind) = (0, event::Kind::PostCounted);
    let event = |post: Counted| {
        let Counted { actor, object, .. } = post;
        event::Model { txn, kind, actor, object, at, changes: None }
    };
    let is_complete = counted.len() <= MAX_REPLAYED && read < MAX_SCANNED;
    Ok(is_complete.then(|| counted.into_iter().map(event).collect()))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use entity::event::Kind;

    use super::*;

    fn change(post: i64) -> event::Model {
        let (kind, at) = (Kind::PostCounted, Utc::now());
        event::Model { txn: 1, kind, actor: 1, object: post, at, changes: None }
    }

    #[test]
    fn changes_of_a_post_within_a_second_are_dispatched_together() {
        let (mut counted, start) = (CountedPosts::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(counted.next_due(start), None);
        counted.add(change(7));
        counted.add(change(8));
        assert_eq!(counted.due(at(0)).len(), 2);
        counted.mark_sent(&counted.due(at(0)), at(0));
        counted.add(change(7));
        counted.add(change(7));
        assert!(counted.due(at(999)).is_empty());
        assert_eq!(counted.next_due(at(400)), Some(Duration::from_millis(600)));
        let due = counted.due(at(1_000));
        assert_eq!(due.iter().map(|change| change.object).collect::<Vec<_>>(), [7]);
        counted.mark_sent(&due, at(1_000));
        assert_eq!(counted.0.len(), 1, "post 8 had no further change");
        counted.mark_sent(&[], at(2_000));
        assert!(counted.0.is_empty());
    }
}
