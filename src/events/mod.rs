//! Live updates: a transactional outbox, dispatched to the instance's subscribers.
//!
//! A write that changes posts or relationships, or deletes an account, records an event in its
//! own transaction (`crate::domain`). One task per instance, the hub, reads new events whenever
//! [`Database::notifier`] wakes it, and dispatches each event to the subscribers concerned. A post
//! goes to the connected subscribers whose timelines show its author, however many other users
//! follow that author. A notification goes to those of its recipient. `outbox` reads the table,
//! `hub` is the task, `registry` maps events to subscribers, `stream` is the receiving end of one
//! subscriber.
//!
//! A position in the event stream is a [`StreamPosition`] and not a number, because transactions
//! are not committed in the order of their ids. A subscriber that resumes from a position first
//! receives the events it missed, from the table (`replay`).

mod authors;
mod counted;
mod delivery;
mod dispatch_counted;
mod hub;
mod index;
mod notifications;
mod outbox;
mod registry;
mod replay;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entity::{event, notification, user};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;
use tokio::time::interval;

use crate::auth::Viewer;
use crate::database::{Database, Snapshot, StreamPosition};
use crate::error::Error;
use crate::loaders::TimelineRow;
use authors::Authors;
use registry::{Subscriber, SubscriptionRegistry};

pub use stream::EventStream;

/// Capacity of a subscriber's buffer, in events.
///
/// A subscriber with a full buffer has lagged when the next event arrives.
pub const SUBSCRIBER_BUFFER: usize = 256;

/// Interval between two runs of [`EventHub::prune`].
const PRUNE_INTERVAL: Duration = Duration::from_mins(1);

/// An event with the rows that its subscribers need, shared by all of them.
#[derive(Debug)]
pub struct DeliveredEvent {
    pub event: event::Model,
    /// The position in the event stream directly after this event.
    pub position: StreamPosition,
    /// The feed item of the added, updated or reposted post, in its current state.
    ///
    /// For a notification, that of its post. `None` if it has been deleted, and for events of other
    /// kinds.
    pub post: Option<TimelineRow>,
    /// The notification that was added.
    ///
    /// `None` if it is gone, and for events of other kinds.
    pub notification: Option<notification::Model>,
    /// Current rows of the posts' authors, read once for all subscribers.
    ///
    /// After a block, also those of both users. After the deletion of an account, also those of all
    /// users that have subscribers. For a notification, those of its recipient and its actor.
    pub users: Arc<Users>,
}

type Users = HashMap<i64, Arc<user::Model>>;

/// An item of an [`EventStream`].
#[derive(Debug)]
pub enum StreamItem {
    Event(Arc<DeliveredEvent>),
    /// The last item of a stream that could not deliver all events.
    Lagged {
        /// Number of events that were dropped, if known.
        missed: Option<u64>,
        /// The position from which a client resumes without a gap.
        ///
        /// `None` if the events after its last position are no longer available or are too many.
        resume_after: Option<StreamPosition>,
    },
}

impl StreamItem {
    /// The post of the event, if it has one.
    pub fn post(&self) -> Option<&TimelineRow> {
        match self {
            Self::Event(delivered) => delivered.post.as_ref(),
            Self::Lagged { .. } => None,
        }
    }

    /// The rows of users that were loaded with the event, if any.
    ///
    /// They are those of its actor and, for a notification, of the user who caused it.
    pub fn users(&self) -> Vec<Arc<user::Model>> {
        let Self::Event(delivered) = self else { return vec![] };
        let caused_by = delivered.notification.as_ref().map(|row| row.actor_id);
        let ids = std::iter::once(delivered.event.actor).chain(caused_by);
        ids.filter_map(|id| delivered.users.get(&id).cloned()).collect()
    }
}

/// Settings of the event hub.
#[derive(Clone, Copy, Debug)]
pub struct EventConfig {
    /// How long events are kept in the outbox.
    pub retention: Duration,
    /// Interval between two reads of the outbox when no notification arrives.
    pub poll_interval: Duration,
}

/// The event hub of an instance. Clones are handles of the same hub.
#[derive(Clone)]
pub struct EventHub(Arc<Inner>);

struct Inner {
    db: Database,
    config: EventConfig,
    registry: Mutex<SubscriptionRegistry>,
    next_subscriber_id: AtomicU64,
    /// Number of subscriptions that the hub has added since the start.
    joined: AtomicU64,
}

/// The topic of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    /// The posts in this user's timeline, and the changes to the authors that it shows.
    Timeline(i64),
    /// The follows and blocks by this user and of this user, and the user's mutes.
    Relationships(i64),
    /// The counts of this user.
    Counts(i64),
    /// The notifications of this user.
    Notifications(i64),
}

impl Topic {
    /// Whether a subscriber can resume from a position.
    fn is_resumable(self) -> bool {
        matches!(self, Self::Timeline(_) | Self::Notifications(_))
    }
}

/// A message from the hub to a subscriber.
enum HubMessage {
    /// The hub has added the subscriber, and dispatches all events after this position.
    ///
    /// For a subscriber that resumes, the authors of its timeline at this position. Boxed, because
    /// each subscriber has a buffer of messages.
    Joined(Box<(StreamPosition, Authors)>),
    /// An event that concerns the subscriber.
    Event(Arc<DeliveredEvent>),
    /// The subscriber's session has ended.
    SessionEnded,
    /// Earlier positions can no longer be resumed from.
    Reset,
}

impl EventHub {
    /// Starts the hub, and the task that prunes the outbox every minute.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn start(db: Database, config: EventConfig) -> Result<Self, Error> {
        outbox::reset_if_restored(&db).await?;
        let hub = Self(Arc::new(Inner {
            db,
            config,
            registry: Mutex::default(),
            next_subscriber_id: AtomicU64::new(0),
            joined: AtomicU64::new(0),
        }));
        tokio::spawn(hub.clone().run());
        let weak = Arc::downgrade(&hub.0);
        tokio::spawn(async move {
            let mut ticks = interval(PRUNE_INTERVAL);
            while let Some(inner) = weak.upgrade() {
                let hub = Self(inner);
                while hub.prune().await.unwrap_or_default() {}
                drop(hub);
                ticks.tick().await;
            }
        });
        Ok(hub)
    }

    /// Subscribes to the changes of the viewer's timeline.
    ///
    /// The stream begins after the given position, or now.
    ///
    /// The events since the position are read from the snapshot, which must not be open yet.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the session has ended. [`Error::Unavailable`] when the hub
    /// does not respond in time. The errors of [`Snapshot::read`].
    pub async fn timeline(
        &self,
        viewer: &Viewer,
        after: Option<(StreamPosition, Snapshot)>,
    ) -> Result<EventStream, Error> {
        let topic = Topic::Timeline(viewer.id());
        self.subscribe(topic, Some(viewer), after.is_some()).start(after).await
    }

    /// Subscribes to the changes of the viewer's notifications.
    ///
    /// The stream begins after the given position, or now, as that of [`Self::timeline`].
    ///
    /// # Errors
    /// Those of [`Self::timeline`].
    pub async fn notifications(
        &self,
        viewer: &Viewer,
        after: Option<(StreamPosition, Snapshot)>,
    ) -> Result<EventStream, Error> {
        let topic = Topic::Notifications(viewer.id());
        self.subscribe(topic, Some(viewer), after.is_some()).start(after).await
    }

    /// Subscribes to the changes of the viewer's relationships, from now on.
    ///
    /// # Errors
    /// Those of [`Self::counts`].
    pub async fn relationships(&self, viewer: &Viewer) -> Result<EventStream, Error> {
        self.subscribe(Topic::Relationships(viewer.id()), Some(viewer), false).start(None).await
    }

    /// Subscribes to events that may change the counts of `user`, from now on.
    ///
    /// With a viewer, the stream ends with the viewer's session.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the session has ended. [`Error::Unavailable`] when the hub
    /// does not respond in time.
    pub async fn counts(&self, user: i64, viewer: Option<&Viewer>) -> Result<EventStream, Error> {
        self.subscribe(Topic::Counts(user), viewer, false).start(None).await
    }

    /// Number of current subscriptions.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.registry().count()
    }

    /// Number of subscriptions that the hub has added since the start.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.0.joined.load(Ordering::Relaxed)
    }

    /// Deletes a batch of expired events. Returns whether there may be more of them.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn prune(&self) -> Result<bool, Error> {
        outbox::prune(&self.0.db, self.0.config.retention).await
    }

    fn subscribe(&self, topic: Topic, viewer: Option<&Viewer>, is_resuming: bool) -> EventStream {
        let (sender, messages) = mpsc::channel(SUBSCRIBER_BUFFER);
        let id = self.0.next_subscriber_id.fetch_add(1, Ordering::Relaxed);
        let session = viewer.map(|viewer| viewer.session().id);
        let subscriber =
            Subscriber { topic, session, is_resuming, sender, dropped: Arc::default() };
        let stream = EventStream::new(self.clone(), id, &subscriber, messages).ending_with(viewer);
        self.registry().pending.insert(id, subscriber);
        self.0.db.notifier().notify_local();
        stream
    }

    fn unsubscribe(&self, id: u64) {
        self.registry().remove(id);
    }

    fn registry(&self) -> MutexGuard<'_, SubscriptionRegistry> {
        self.0.registry.lock()
    }
}

/// Whether the event is delivered with its post.
fn carries_post(event: &event::Model) -> bool {
    use event::Kind::{PostAdded, PostCounted, PostUpdated, Reposted};
    matches!(event.kind, PostAdded | PostUpdated | PostCounted | Reposted)
}
