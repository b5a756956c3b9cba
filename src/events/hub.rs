//! The hub: one task per instance that dispatches events to subscribers.
//!
//! Each poll reads new events from the outbox in batches. It loads the rows that a batch needs in a
//! few statements, whatever the number of subscribers, and sends every event to its recipients. New
//! subscribers join at the end of a poll. The authors of their timelines are read from the same
//! snapshot as the events, so that they neither miss an event nor receive one twice.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entity::event::{self, Kind};
use futures_util::FutureExt as _;
use sea_orm::FromQueryResult;
use tokio::time::Instant;

use super::authors::Authors;
use super::counted::CountedPosts;
use super::delivery::{Deliveries, deliver};
use super::registry::SubscriptionRegistry;
use super::{DeliveredEvent, EventHub, HubMessage, Topic, carries_post, outbox};
use crate::clock;
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;
use crate::loaders::{Reposters, reposters, reposters_of_authors, timeline_rows, users};

/// Interval between two polls without subscribers and notifications.
const IDLE_POLL_INTERVAL: Duration = Duration::from_mins(1);
/// Maximum number of subscribers that join in one poll.
const MAX_JOINS_PER_POLL: usize = 1_000;
/// Number of timeline owners whose follows one statement reads.
const OWNERS_PER_STATEMENT: usize = 100;
/// Delay before the next poll after an error or a panic.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Ids of the rows that are read to dispatch a batch of events.
struct Lookups {
    /// Feed items.
    items: Vec<i64>,
    users: Vec<i64>,
    /// Sessions of the recipients.
    sessions: HashSet<i64>,
}

impl EventHub {
    /// Polls until no other handle of this hub is left.
    pub(super) async fn run(self) {
        // After a panic the registry is emptied: the streams end, and their clients resume.
        while AssertUnwindSafe(self.poll_loop()).catch_unwind().await.is_err() {
            tracing::error!("event hub panicked; restarting");
            *self.registry() = SubscriptionRegistry::default();
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn poll_loop(&self) {
        let mut position = None;
        while Arc::strong_count(&self.0) > 1 {
            let is_idle = self.subscribers() == 0;
            let interval = if is_idle { IDLE_POLL_INTERVAL } else { self.0.config.poll_interval };
            let next_counted = self.registry().counted.next_due(Instant::now());
            let interval = next_counted.map_or(interval, |due| due.min(interval));
            self.0.db.notifier().notified(interval).await;
            if self.poll(&mut position).await.is_err() {
                self.drop_stale();
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }

    /// Dispatches the events after `position`, then adds the pending subscribers.
    ///
    /// `position` advances with each dispatched batch. Without subscribers nothing is read, and
    /// `position` is cleared.
    async fn poll(&self, position: &mut Option<StreamPosition>) -> Result<(), Error> {
        if self.subscribers() == 0 {
            *position = None;
            self.registry().counted = CountedPosts::default();
            return Ok(());
        }
        // Chosen before the snapshot: a subscriber that comes later may resume from a position that
        // the snapshot does not contain.
        let joining: Vec<u64> =
            self.registry().pending.keys().copied().take(MAX_JOINS_PER_POLL).collect();
        if joining.len() == MAX_JOINS_PER_POLL {
            self.0.db.notifier().notify_local();
        }
        let snapshot = Snapshot::new(&self.0.db);
        let mut current = match position {
            Some(position) if outbox::retains(&snapshot, position).await? => position.clone(),
            Some(_) => {
                self.disconnect_all();
                snapshot.stream_position().await?
            }
            None => snapshot.stream_position().await?,
        };
        loop {
            let batch = outbox::read_after(&snapshot, &current).await?;
            self.dispatch(&snapshot, &current, &batch).await?;
            current = batch.position;
            *position = Some(current.clone());
            if batch.is_last {
                break;
            }
        }
        self.dispatch_counted(&snapshot, &current).await?;
        self.join(&snapshot, &current, joining).await
    }

    /// Ends the streams of all subscribers except pending ones.
    ///
    /// Called when the database does not retain the events after the hub's position: it was
    /// restored to an earlier state, or events were pruned before the hub could read them.
    fn disconnect_all(&self) {
        let mut registry = self.registry();
        let ids: Vec<u64> = registry.subscribers.keys().copied().collect();
        for subscriber in ids.into_iter().filter_map(|id| registry.remove(id)) {
            subscriber.send(HubMessage::Reset);
        }
    }

    /// Sends the events of a batch to their recipients. The batch begins at `start`.
    ///
    /// A recipient whose session has ended is removed.
    async fn dispatch(
        &self,
        snapshot: &Snapshot,
        start: &StreamPosition,
        batch: &outbox::EventBatch,
    ) -> Result<(), Error> {
        let updated = of_kind(&batch.events, Kind::PostUpdated).map(|event| event.object);
        let reposters = reposters(snapshot, &updated.collect::<Vec<_>>()).await?;
        let mut hidden: Vec<i64> =
            of_kind(&batch.events, Kind::ManyRepostsHidden).map(|event| event.actor).collect();
        if self.registry().timelines.is_empty() {
            hidden.clear();
        }
        let hidden = reposters_of_authors(snapshot, &hidden).await?;
        let Lookups { items, users: user_ids, sessions } = self.lookups(&batch.events, &reposters);
        let rows = timeline_rows(snapshot, &items).await?;
        let users = Arc::new(users(snapshot, &user_ids).await?);
        let open = open_sessions(snapshot, &sessions).await?;
        let notifications = self.load_notifications(snapshot, &batch.events).await?;
        // Nothing below can fail, so the retry of a failed poll dispatches no event twice.
        let mut registry = self.registry();
        let mut before = start.clone();
        for event in &batch.events {
            let mut deliveries = Deliveries::default();
            for change in event.with_parts() {
                let mut to = registry.recipients(&change);
                let row = rows.get(&change.object);
                match (change.kind, row) {
                    (Kind::PostCounted, _) => registry.counted.add(change.clone()),
                    (Kind::Reposted, Some(row)) if row.author.is_protected => to.clear(),
                    (Kind::Reposted, Some(row)) => {
                        to = registry.watchers_of_reposts(change.actor, row.author.id).collect();
                    }
                    (Kind::PostUpdated, _) => {
                        let shown = reposters.get(&change.object).into_iter().flatten();
                        to.extend(shown.flat_map(|reposter| {
                            registry.watchers_of_reposts(*reposter, change.actor)
                        }));
                        to.sort_unstable();
                        to.dedup();
                    }
                    (Kind::ManyRepostsHidden, _) => {
                        if let Some(users) = hidden.get(&change.actor) {
                            to =
                                users.iter().flat_map(|user| registry.watchers_of(*user)).collect();
                            to.sort_unstable();
                            to.dedup();
                        }
                    }
                    _ => {}
                }
                registry.apply_event(&change);
                deliveries.add(change, to);
            }
            for part in event.parts().filter(|_| event.kind == Kind::Several) {
                let to = registry.subscribers_of_users(&part).into_iter().collect();
                deliveries.add(part, to);
            }
            let after = start.advance_to(event.into(), &batch.position);
            for (change, to, is_last) in deliveries.in_order() {
                let post = rows.get(&change.object).filter(|_| carries_post(&change)).cloned();
                let position = if is_last { &after } else { &before };
                let (position, users) = (position.clone(), Arc::clone(&users));
                let delivered =
                    DeliveredEvent { event: change, position, post, notification: None, users };
                deliver(&mut registry, delivered, to, &open);
            }
            before = after;
        }
        notifications.deliver(&mut registry, start, &batch.position);
        Ok(())
    }

    /// Collects the ids of the rows that any recipient of `events` may need.
    fn lookups(&self, events: &[event::Model], reposters: &Reposters) -> Lookups {
        let registry = self.registry();
        let changes: Vec<event::Model> = events.iter().flat_map(event::Model::with_parts).collect();
        let parts: Vec<event::Model> =
            of_kind(events, Kind::Several).flat_map(event::Model::parts).collect();
        // An event in this batch may add an author to a timeline before the author's next post.
        let followed: HashSet<i64> = changes
            .iter()
            .chain(&parts)
            .filter(|event| matches!(event.kind, Kind::Followed | Kind::Unmuted))
            .map(|event| event.object)
            .collect();
        let may_be_shown = |event: &event::Model| {
            let by = reposters.get(&event.object).into_iter().flatten().chain([&event.actor]);
            by.into_iter().any(|user| registry.is_shown(*user) || followed.contains(user))
        };
        let with_post = changes.iter().filter(|event| carries_post(event) && may_be_shown(event));
        // Counted posts are read when they are due.
        let with_post = with_post.filter(|event| event.kind != Kind::PostCounted);
        let mut users: HashSet<i64> = with_post.clone().map(|event| event.actor).collect();
        // With their rows, subscribers of counts see whether these have changed.
        let blocks =
            changes.iter().filter(|event| matches!(event.kind, Kind::Blocked | Kind::Unblocked));
        users.extend(blocks.flat_map(|event| [event.actor, event.object]));
        if changes.iter().any(|event| event.kind == Kind::UserRemoved) {
            users.extend(registry.subscribed_users());
        }
        let items = with_post.map(|event| event.object).collect();
        let of_parts = parts.iter().flat_map(|part| registry.subscribers_of_users(part));
        let by_repost = reposters.values().flatten().flat_map(|user| registry.watchers_of(*user));
        let recipients = changes.iter().flat_map(|event| registry.recipients(event));
        let recipients = recipients.chain(of_parts).chain(by_repost);
        let sessions = recipients.filter_map(|id| registry.subscribers.get(&id)?.session);
        Lookups { items, users: users.into_iter().collect(), sessions: sessions.collect() }
    }

    /// Adds the subscribers `joining` at `position`, and reloads stale timelines.
    async fn join(
        &self,
        snapshot: &Snapshot,
        position: &StreamPosition,
        joining: Vec<u64>,
    ) -> Result<(), Error> {
        let (owners, sessions) = {
            let registry = self.registry();
            let pending = || joining.iter().filter_map(|id| registry.pending.get(id));
            let owners = pending().filter_map(|subscriber| match subscriber.topic {
                Topic::Timeline(owner) => Some(owner),
                Topic::Relationships(_) | Topic::Counts(_) | Topic::Notifications(_) => None,
            });
            let owners = owners.chain(registry.stale.iter().copied()).collect();
            (owners, pending().filter_map(|subscriber| subscriber.session).collect())
        };
        let mut authors = authors(snapshot, &owners).await?;
        let open = open_sessions(snapshot, &sessions).await?;
        let mut registry = self.registry();
        for owner in std::mem::take(&mut registry.stale) {
            // The last subscriber of the timeline may have left during the reads.
            if registry.timelines.contains_key(&owner) {
                registry.set_authors(owner, authors.remove(&owner).unwrap_or_default());
            }
        }
        for id in joining {
            let Some(subscriber) = registry.pending.remove(&id) else { continue };
            if subscriber.session.is_some_and(|session| !open.contains(&session)) {
                subscriber.send(HubMessage::SessionEnded);
                continue;
            }
            let mut at_join = Authors::default();
            if let Topic::Timeline(owner) = subscriber.topic {
                if let Some(authors) = authors.remove(&owner) {
                    registry.set_authors(owner, authors);
                }
                if subscriber.is_resuming {
                    at_join = registry.timelines[&owner].authors();
                }
            }
            self.0.joined.fetch_add(1, Ordering::Relaxed);
            subscriber.send(HubMessage::Joined(Box::new((position.clone(), at_join))));
            registry.add(id, subscriber);
        }
        Ok(())
    }

    /// Removes the subscribers of stale timelines.
    ///
    /// It is called when the timelines could not be reloaded. The subscribers' streams end, and
    /// their clients resume.
    fn drop_stale(&self) {
        let mut registry = self.registry();
        let stale = std::mem::take(&mut registry.stale);
        let watchers = |owner| {
            registry.timelines.get(owner).into_iter().flat_map(|timeline| &timeline.watchers)
        };
        let watchers: Vec<u64> = stale.iter().flat_map(watchers).copied().collect();
        for id in watchers {
            registry.remove(id);
        }
    }
}

/// The events of a kind.
fn of_kind(events: &[event::Model], kind: Kind) -> impl Iterator<Item = &event::Model> {
    events.iter().filter(move |event| event.kind == kind)
}

/// The sessions that have neither ended nor expired, of those given.
pub async fn open_sessions(
    snapshot: &Snapshot,
    sessions: &HashSet<i64>,
) -> Result<HashSet<i64>, Error> {
    #[derive(FromQueryResult)]
    struct SessionId {
        id: i64,
    }
    if sessions.is_empty() {
        return Ok(HashSet::new());
    }
    let engine = snapshot.engine();
    let sql =
        format!("SELECT id FROM session WHERE {} AND expires_at > $2", engine.in_list_sql("id", 1));
    let values = [engine.bind_ids(sessions.iter().copied()), clock::now().into()];
    let open: Vec<SessionId> = snapshot.all(sessions.len(), &sql, values).await?;
    Ok(open.into_iter().map(|session| session.id).collect())
}

/// The authors of the timelines of `owners`, by owner.
///
/// The followed users of an owner are a single row, so that they are not transferred and decoded
/// one by one; so are the muted users and those of blocks.
async fn authors(
    snapshot: &Snapshot,
    owners: &HashSet<i64>,
) -> Result<HashMap<i64, Authors>, Error> {
    let new = |owner: &i64| (*owner, Authors { followed: [*owner].into(), ..Authors::default() });
    let mut authors: HashMap<i64, Authors> = owners.iter().map(new).collect();
    let owners: Vec<i64> = owners.iter().copied().collect();
    for chunk in owners.chunks(OWNERS_PER_STATEMENT) {
        for (owner, followed) in
            lists(snapshot, "follow", ["follower_id", "followed_id"], chunk).await?
        {
            authors.entry(owner).or_default().followed.extend(followed);
        }
        for (owner, muted) in lists(snapshot, "mute", ["muter_id", "muted_id"], chunk).await? {
            authors.entry(owner).or_default().muted.extend(muted);
        }
        for columns in [["blocker_id", "blocked_id"], ["blocked_id", "blocker_id"]] {
            for (owner, blocked) in lists(snapshot, "block", columns, chunk).await? {
                authors.entry(owner).or_default().blocked.extend(blocked);
            }
        }
    }
    Ok(authors)
}

/// The users in a table of pairs, by owner.
async fn lists(
    snapshot: &Snapshot,
    table: &str,
    [owner, other]: [&str; 2],
    owners: &[i64],
) -> Result<Vec<(i64, Vec<i64>)>, Error> {
    #[derive(FromQueryResult)]
    struct List {
        owner: i64,
        /// A JSON array of ids.
        others: String,
    }
    let engine = snapshot.engine();
    let (others, is_owner) = (engine.json_array_sql(other), engine.in_list_sql(owner, 1));
    let sql = format!(
        "SELECT {owner} AS owner, {others} AS others FROM {table} WHERE {is_owner} GROUP BY {owner}"
    );
    let rows: Vec<List> =
        snapshot.all(owners.len(), &sql, [engine.bind_ids(owners.iter().copied())]).await?;
    let parse = |list: List| {
        let others = serde_json::from_str(&list.others)
            .map_err(|_| Error::internal("a list of users is not a JSON array"))?;
        Ok((list.owner, others))
    };
    rows.into_iter().map(parse).collect()
}
