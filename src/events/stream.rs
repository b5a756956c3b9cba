//! The stream of one subscriber: the events that it missed, then those of the hub.
//!
//! The hub says at which position the subscriber has joined. Events between the position that the
//! client resumes from and the join are replayed from the outbox; all later events come from the
//! hub. Each event therefore arrives exactly once. The authors that the timeline showed at the
//! resumed position are reconstructed: the owner's follows since then are undone, and reapplied
//! event by event. A block does not say which follows it ended, and a mute not whether the user was
//! followed. The replay therefore begins with the last of them: the client reads its timeline again
//! after it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entity::event::{self, Kind};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::authors::{Authors, affects_timeline, apply_follow};
use super::counted::read_counted;
use super::hub::open_sessions;
use super::registry::Subscriber;
use super::{DeliveredEvent, EventHub, HubMessage, StreamItem, Topic, carries_post, outbox};
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;
use crate::loaders::{timeline_rows, users};

/// Rows that a replay reserves beside those of its events.
///
/// It executes several statements for few rows.
const REPLAY_ROWS: usize = 500;
/// Number of missed events whose rows are loaded together.
const REPLAY_BATCH: usize = 20;

/// Timeout for the hub to add a subscriber.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The last item for a client that has no position to resume from.
const UNRESUMABLE: StreamItem = StreamItem::Lagged { missed: None, resume_after: None };

/// The receiving end of a subscription, which ends when it is dropped.
pub struct EventStream {
    hub: EventHub,
    id: u64,
    topic: Topic,
    session: Option<i64>,
    messages: mpsc::Receiver<HubMessage>,
    /// Number of messages that the hub dropped because the buffer was full.
    dropped: Arc<AtomicU64>,
    /// The position that the client resumes from.
    resumed_from: StreamPosition,
    /// The position after the missed events that have been loaded.
    replayed: StreamPosition,
    /// Missed events whose posts and authors are not loaded yet.
    to_load: VecDeque<event::Model>,
    /// Reads the missed events on behalf of the client. `None` when they are loaded.
    snapshot: Option<Snapshot>,
    /// Items that precede those from the hub.
    replay: VecDeque<StreamItem>,
    /// The position of the last event from the hub, or of the join before the first.
    last: StreamPosition,
    /// The position after the last item that was returned.
    returned: StreamPosition,
    /// The position before the last item that was returned.
    previous: StreamPosition,
    /// The next item, if [`Self::wait`] has found it.
    waiting: Option<Result<Option<StreamItem>, Error>>,
    /// Whether the last item was returned.
    is_over: bool,
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.hub.unsubscribe(self.id);
    }
}

impl EventStream {
    pub(super) fn new(
        hub: EventHub,
        id: u64,
        subscriber: &Subscriber,
        messages: mpsc::Receiver<HubMessage>,
    ) -> Self {
        Self {
            hub,
            id,
            topic: subscriber.topic,
            session: subscriber.session,
            messages,
            dropped: Arc::clone(&subscriber.dropped),
            resumed_from: StreamPosition::default(),
            replayed: StreamPosition::default(),
            to_load: VecDeque::new(),
            snapshot: None,
            replay: VecDeque::new(),
            last: StreamPosition::default(),
            returned: StreamPosition::default(),
            previous: StreamPosition::default(),
            waiting: None,
            is_over: false,
        }
    }

    /// Waits for the hub to add the subscriber, then finds the events since `after`.
    ///
    /// They are read from `snapshot`, which must not be open yet.
    pub(super) async fn start(
        mut self,
        after: Option<(StreamPosition, Snapshot)>,
    ) -> Result<Self, Error> {
        let authors = match timeout(JOIN_TIMEOUT, self.messages.recv()).await {
            Ok(Some(HubMessage::Joined(joined))) => {
                let (position, authors) = *joined;
                self.returned = after.as_ref().map_or(&position, |(after, _)| after).clone();
                self.last = position;
                authors
            }
            Ok(Some(HubMessage::SessionEnded)) => return Err(session_ended()),
            _ => return Err(Error::Unavailable),
        };
        if let (Some((after, snapshot)), Topic::Timeline(owner)) = (after, self.topic) {
            match self.events_missed_since(owner, &after, &snapshot, authors).await? {
                Some(missed) => {
                    (self.to_load, self.resumed_from, self.replayed) =
                        (missed, after.clone(), after);
                }
                None => self.replay.push_back(UNRESUMABLE),
            }
            snapshot.reset().await;
            self.snapshot = Some(snapshot);
        }
        Ok(self)
    }

    /// Loads the posts and authors of the next missed events.
    async fn load_replay(&mut self) -> Result<(), Error> {
        let Some(snapshot) = self.snapshot.clone() else { return Ok(()) };
        let session: HashSet<i64> = self.session.into_iter().collect();
        if open_sessions(&snapshot, &session).await? != session {
            self.is_over = true;
            return Err(session_ended());
        }
        let events: Vec<_> = self.to_load.drain(..REPLAY_BATCH.min(self.to_load.len())).collect();
        let with_post = events.iter().filter(|event| carries_post(event));
        let items: Vec<i64> = with_post.map(|event| event.object).collect();
        let posts = timeline_rows(&snapshot, &items).await?;
        let authors: HashSet<i64> = posts.values().map(|row| row.author.id).collect();
        let authors: Vec<i64> = authors.into_iter().collect();
        let users = Arc::new(users(&snapshot, &authors).await?);
        snapshot.reset().await;
        // No event of the hub has been taken yet, so `last` is still the position of the join.
        let (start, joined) = (&self.resumed_from, &self.last);
        let mut events = events.into_iter().peekable();
        while let Some(event) = events.next() {
            match events.peek().or(self.to_load.front()) {
                // A client that resumes before the last part receives the parts again.
                Some(next) if next.txn == event.txn => {}
                Some(_) => self.replayed = start.advance_to((&event).into(), joined),
                None => self.replayed.clone_from(joined),
            }
            let position = self.replayed.clone();
            let post = posts.get(&event.object).filter(|_| carries_post(&event)).cloned();
            let users = Arc::clone(&users);
            let delivered = DeliveredEvent { event, position, post, users };
            self.replay.push_back(StreamItem::Event(Arc::new(delivered)));
        }
        Ok(())
    }

    /// The next item, or `None` after the last.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the session has ended; any error of the database.
    pub async fn next(&mut self) -> Result<Option<StreamItem>, Error> {
        self.previous.clone_from(&self.returned);
        let mut item = None;
        if !self.is_over && self.waiting.is_none() {
            item = self.next_replayed().await?;
        }
        if item.is_none() {
            self.wait().await;
            item = self.waiting.take().unwrap_or(Ok(None))?;
        }
        if let Some(StreamItem::Event(delivered)) = &item {
            self.returned = delivered.position.clone();
        }
        Ok(item)
    }

    /// Waits until [`Self::next`] returns an item without waiting for the hub.
    pub async fn wait(&mut self) {
        let is_replaying = !self.replay.is_empty() || !self.to_load.is_empty();
        if self.waiting.is_none() && (self.is_over || !is_replaying) {
            self.waiting = Some(self.next_from_hub().await);
        }
    }

    /// The next item, if [`Self::wait`] has received an event from the hub.
    pub fn peek(&self) -> Option<&DeliveredEvent> {
        match &self.waiting {
            Some(Ok(Some(StreamItem::Event(delivered)))) => Some(delivered),
            _ => None,
        }
    }

    /// Drops the event that [`Self::wait`] has received.
    pub fn skip(&mut self) {
        self.waiting = None;
    }

    /// Ends the stream, whose last item or error cannot be sent to its client.
    ///
    /// Returns the item to send instead.
    pub fn lag(&mut self) -> StreamItem {
        self.is_over = true;
        self.returned.clone_from(&self.previous);
        StreamItem::Lagged { missed: None, resume_after: Some(self.previous.clone()) }
    }

    /// The same, but [`Self::next`] returns the item.
    ///
    /// Returns `false` and does nothing if the stream cannot be resumed.
    pub fn lag_next(&mut self) -> bool {
        let is_resumable = matches!(self.topic, Topic::Timeline(_));
        if is_resumable {
            self.waiting = Some(Ok(Some(self.lag())));
        }
        is_resumable
    }

    /// The next item of the replay. `None` after the last.
    async fn next_replayed(&mut self) -> Result<Option<StreamItem>, Error> {
        if self.replay.is_empty() && !self.to_load.is_empty() {
            self.load_replay().await?;
        }
        if self.to_load.is_empty() {
            self.snapshot = None;
        }
        let item = self.replay.pop_front();
        self.is_over |= matches!(item, Some(StreamItem::Lagged { .. }));
        Ok(item)
    }

    /// The next item from the hub.
    async fn next_from_hub(&mut self) -> Result<Option<StreamItem>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let message = match self.messages.try_recv() {
            Ok(message) => Some(message),
            Err(_) if self.dropped.load(Ordering::SeqCst) == 0 => self.messages.recv().await,
            Err(_) => None,
        };
        match message {
            Some(HubMessage::Event(delivered)) => {
                self.last = delivered.position.clone();
                return Ok(Some(StreamItem::Event(delivered)));
            }
            // Sent once, and received by `start`.
            Some(HubMessage::Joined(..)) => return Ok(None),
            _ => self.is_over = true,
        }
        match message {
            Some(HubMessage::SessionEnded) => Err(session_ended()),
            Some(_) => Ok(Some(UNRESUMABLE)),
            // The buffer was full, or the hub has dropped the subscriber.
            None => {
                let missed = Some(self.dropped.load(Ordering::SeqCst)).filter(|missed| *missed > 0);
                Ok(Some(StreamItem::Lagged { missed, resume_after: Some(self.last.clone()) }))
            }
        }
    }

    /// Empties the buffer, for a stream of which only the current state matters.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the session has ended.
    pub fn skip_to_latest(&mut self) -> Result<(), Error> {
        while let Ok(message) = self.messages.try_recv() {
            match message {
                HubMessage::Event(_) | HubMessage::Joined(..) => {}
                HubMessage::SessionEnded => {
                    self.is_over = true;
                    return Err(session_ended());
                }
                HubMessage::Reset => self.replay.push_back(UNRESUMABLE),
            }
        }
        Ok(())
    }

    /// The events between `after` and the join that concern the owner's timeline.
    ///
    /// `authors` are those that the timeline showed at the join. `None` if the outbox no longer has
    /// all of the events, or if they exceed [`outbox::MAX_REPLAYED`]. Events of an author who
    /// deletes the account after the join may be missing: a `TimelineReset` follows.
    async fn events_missed_since(
        &self,
        owner: i64,
        after: &StreamPosition,
        snapshot: &Snapshot,
        mut authors: Authors,
    ) -> Result<Option<VecDeque<event::Model>>, Error> {
        snapshot.read(REPLAY_ROWS).await?;
        if !outbox::retains(snapshot, after).await? {
            return Ok(None);
        }
        let precedes_join = |event: &event::Model| self.last.contains(event.txn);
        let changes = outbox::author_changes_after(snapshot, after, owner).await?;
        let Some(mut changes) = changes else { return Ok(None) };
        // The snapshot is newer than the join. A user whom the owner has unfollowed since the join
        // is no longer in the table of follows, so changes after the join are included here.
        let parts = changes.iter().flat_map(event::Model::parts);
        let followed = parts.filter(|part| part.kind == Kind::Followed).map(|part| part.object);
        let others = changes.iter().map(|change| change.object).chain(followed).collect();
        let users = outbox::TimelineUsers { owner, followed: authors.followed.len(), others };
        let mut found = match outbox::read_for_timeline(snapshot, after, &users).await {
            Ok(Some(found)) => found,
            // The timeline has too many authors for the maximum of work.
            Ok(None) | Err(Error::TooMuchWork { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        changes.retain(precedes_join);
        let is_reset = |change: &event::Model| {
            use Kind::{Blocked, ManyChanged, Muted, Unblocked, Unmuted, UserRemoved};
            matches!(change.kind, Blocked | Unblocked | Muted | Unmuted | ManyChanged | UserRemoved)
        };
        if let Some(reset) = changes.iter().rposition(is_reset) {
            changes.drain(..reset);
            found = found.split_off(&changes[0].txn);
            found.insert(changes[0].txn, changes[0].clone());
        }
        // Undoes the owner's follows, newest first. The loop below reapplies them.
        for change in changes.iter().rev() {
            apply_follow(&mut authors.followed, change, Kind::Unfollowed);
        }
        let mut missed = VecDeque::new();
        for change in
            found.values().filter(|event| precedes_join(event)).flat_map(event::Model::with_parts)
        {
            let is_shown = affects_timeline(&change, owner, &authors);
            if change.actor == owner {
                apply_follow(&mut authors.followed, &change, Kind::Followed);
            }
            // Changed counts are read below, once for each post.
            let is_added = is_shown && change.kind != Kind::PostCounted;
            // One reset for all reposts that a protection hides.
            let is_repeated = |last: &event::Model| {
                last.txn == change.txn && [last.kind, change.kind] == [Kind::RepostsHidden; 2]
            };
            if is_added && !missed.back().is_some_and(is_repeated) {
                missed.push_back(change);
            }
        }
        let counted = match read_counted(snapshot, after, &users).await {
            Ok(Some(counted)) => counted,
            Ok(None) | Err(Error::TooMuchWork { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // The client reads its timeline again after a reset.
        if !missed.iter().any(|event| is_reset(event)) {
            for event in counted.into_iter().filter(|event| authors.shows(event.actor)) {
                missed.push_front(event);
            }
        }
        outbox::retain_shown_reposts(snapshot, &mut missed, &authors).await?;
        Ok(Some(missed))
    }
}

fn session_ended() -> Error {
    Error::Unauthenticated("The session has ended. Log in again.")
}
