//! The stream of one subscriber: the events that it missed, then those of the hub.
//!
//! The hub says at which position the subscriber has joined. Events between the position that the
//! client resumes from and the join are replayed from the outbox; all later events come from the
//! hub. Each event therefore arrives exactly once. `replay` finds the missed events.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entity::event;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::hub::open_sessions;
use super::registry::Subscriber;
use super::replay::Replay;
use super::{DeliveredEvent, EventHub, HubMessage, StreamItem, Topic};
use crate::auth::Viewer;
use crate::clock;
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;

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
    /// When the session expires.
    ends_at: Option<Instant>,
    messages: mpsc::Receiver<HubMessage>,
    /// Number of messages that the hub dropped because the buffer was full.
    dropped: Arc<AtomicU64>,
    /// The position that the client resumes from.
    resumed_from: StreamPosition,
    /// The position after the missed events that have been loaded.
    replayed: StreamPosition,
    /// Missed events whose rows are not loaded yet.
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
            ends_at: None,
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

    /// The same, until the session of the viewer expires.
    pub(super) fn ending_with(mut self, viewer: Option<&Viewer>) -> Self {
        self.ends_at = viewer.map(|viewer| {
            let lifetime = viewer.session().expires_at - clock::now();
            Instant::now() + lifetime.to_std().unwrap_or_default()
        });
        self
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
        if let Some((after, snapshot)) = after {
            let replay = Replay { after: &after, joined: &self.last, snapshot: &snapshot };
            match replay.find(self.topic, authors).await? {
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

    /// Loads the rows of the next missed events.
    async fn load_replay(&mut self) -> Result<(), Error> {
        let Some(snapshot) = self.snapshot.clone() else { return Ok(()) };
        let session: HashSet<i64> = self.session.into_iter().collect();
        if open_sessions(&snapshot, &session).await? != session {
            self.is_over = true;
            return Err(session_ended());
        }
        let events: Vec<_> = self.to_load.drain(..REPLAY_BATCH.min(self.to_load.len())).collect();
        // No event of the hub has been taken yet, so `last` is still the position of the join.
        let replay = Replay { after: &self.resumed_from, joined: &self.last, snapshot: &snapshot };
        let positions = replay.positions(&self.replayed, &events, self.to_load.front());
        let delivered = replay.load(self.topic, events, positions).await?;
        snapshot.reset().await;
        if let Some(last) = delivered.last() {
            self.replayed.clone_from(&last.position);
        }
        let items = delivered.into_iter().map(|event| StreamItem::Event(Arc::new(event)));
        self.replay.extend(items);
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
        let is_resumable = self.topic.is_resumable();
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
            Err(_) if self.dropped.load(Ordering::SeqCst) == 0 => self.receive().await,
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

    /// Waits for a message of the hub, or for the time at which the session expires.
    async fn receive(&mut self) -> Option<HubMessage> {
        let Some(ends_at) = self.ends_at else { return self.messages.recv().await };
        let message = timeout_at(ends_at, self.messages.recv()).await;
        message.unwrap_or(Some(HubMessage::SessionEnded))
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
}

fn session_ended() -> Error {
    Error::Unauthenticated("The session has ended. Log in again.")
}
