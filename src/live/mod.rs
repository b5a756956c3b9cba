//! What happens, told to those who watch, as it happens and in its order.
//!
//! Verbs write an event in their own transaction (`graph`). Here, one task for the whole instance reads what is
//! new whenever the bell rings, and hands it to the subscribers that it concerns: a post goes to the connected
//! viewers whose timelines show it, however many others follow its author. `log` is the table of events, `hub` that
//! task, `audience` who is subscribed, `feed` one subscriber's end.
//!
//! An event's place is a [`Moment`]: it says exactly what has been told, though transactions are not
//! committed in the order of their numbers. Whoever comes back with a moment is told the rest from the table first.

mod audience;
mod feed;
mod hub;
mod log;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entity::{event, user};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::interval;

use crate::auth::Viewer;
use crate::database::{Database, Moment};
use crate::error::Error;
use crate::loader::Entry;
use crate::place::{Places, Turns};
use audience::{Audience, Subscriber};

pub use feed::{Feed, News};

/// Events that wait for a subscriber who does not take them; with the next one, it has lagged.
pub const BUFFER: usize = 256;

/// How many read what they missed at the same time.
const REPLAYS: usize = 2;
/// How often to see whether events are old enough to go.
const PRUNING: Duration = Duration::from_mins(1);

/// Something that happened.
#[derive(Debug)]
pub struct Happening {
    pub event: event::Model,
    /// What has been told with it.
    pub moment: Moment,
    /// The post that was added or updated, as it is now.
    pub post: Option<Entry>,
    /// Authors of posts and, when an account is gone, whose follows somebody hears of: as they are now, read once, however
    /// many are told.
    pub users: Arc<Users>,
}

type Users = HashMap<i64, Arc<user::Model>>;

/// How events are told.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// How long events are kept.
    pub retention: Duration,
    /// How often to look when the bell does not ring.
    pub patience: Duration,
}

/// Cheap to clone; all clones are one hub.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    db: Database,
    telling: Telling,
    audience: Mutex<Audience>,
    subscribed: AtomicU64,
    joined: AtomicU64,
    /// Who comes back waits for those before them,
    replays: Semaphore,
    /// among whom each owner of a timeline is once,
    turns: Turns<i64>,
    /// and so many of one wait for each other.
    replaying: Places<i64>,
}

/// What a subscriber wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    /// The posts in this user's timeline, and what changes whom it shows.
    Timeline(i64),
    /// The follows that this user makes, or that are made of them.
    Person(i64),
}

/// What comes to a subscriber's end.
enum Told {
    /// From this moment on, everything will be told. To one who comes back: the timeline shows these users' posts
    /// then.
    Joined(Moment, HashSet<i64>),
    Happened(Arc<Happening>),
    /// The session is over.
    SignedOut,
    /// Nothing that was told so far can be gone on from.
    Lost,
}

impl Live {
    /// # Errors
    /// As the database says.
    pub async fn start(db: Database, telling: Telling) -> Result<Self, Error> {
        log::settle(&db).await?;
        let live = Self(Arc::new(Inner {
            db,
            telling,
            audience: Mutex::default(),
            subscribed: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            replays: Semaphore::new(REPLAYS),
            turns: Turns::default(),
            replaying: Places::default(),
        }));
        tokio::spawn(live.clone().run());
        let pruned = Arc::downgrade(&live.0);
        tokio::spawn(async move {
            let mut minutes = interval(PRUNING);
            while let Some(inner) = pruned.upgrade() {
                let live = Self(inner);
                while live.prune().await.unwrap_or_default() {}
                drop(live);
                minutes.tick().await;
            }
        });
        Ok(live)
    }

    /// The viewer's timeline from now on, or from `after`.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the session is over; or as the database says.
    pub async fn timeline(&self, viewer: &Viewer, after: Option<Moment>) -> Result<Feed, Error> {
        let interest = Interest::Timeline(viewer.id());
        self.subscribe(interest, Some(viewer), after.is_some()).begin(after).await
    }

    /// The follows of one user from now on; with a viewer, for as long as they are signed in.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the session is over; or as the database says.
    pub async fn follows(&self, user: i64, viewer: Option<&Viewer>) -> Result<Feed, Error> {
        self.subscribe(Interest::Person(user), viewer, false).begin(None).await
    }

    /// How many are subscribed.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.audience().count()
    }

    /// How many have been subscribed since the start.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.0.joined.load(Ordering::Relaxed)
    }

    /// Lets go of some events that are too old to be kept; says whether there may be more. Done every minute.
    ///
    /// # Errors
    /// As the database says.
    pub async fn prune(&self) -> Result<bool, Error> {
        log::prune(&self.0.db, self.0.telling.retention).await
    }

    fn subscribe(&self, interest: Interest, viewer: Option<&Viewer>, comes_back: bool) -> Feed {
        let (sender, told) = mpsc::channel(BUFFER);
        let id = self.0.subscribed.fetch_add(1, Ordering::Relaxed);
        let missed = Arc::new(AtomicU64::new(0));
        let session = viewer.map(|viewer| viewer.session().id);
        let joining = Subscriber { interest, session, comes_back, sender, missed: missed.clone() };
        self.audience().joining.insert(id, joining);
        self.0.db.bell().ring_here();
        Feed::new(self.clone(), id, (interest, session), told, missed)
    }

    fn leave(&self, id: u64) {
        self.audience().remove(id);
    }

    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.0.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the event is told with its post.
fn shows_post(event: &event::Model) -> bool {
    matches!(event.kind, event::Kind::PostAdded | event::Kind::PostUpdated)
}
