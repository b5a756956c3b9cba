//! A subscriber's end: what happened since they were last here, read from the table, and then what comes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entity::event::{self, Kind};
use entity::user;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::hub::signed_in;
use super::{Happening, Interest, Live, Told, log, shows_post};
use crate::database::{Moment, Snapshot};
use crate::error::Error;
use crate::loader::{entries, users};

/// Events that concern a timeline are replayed up to this number; who missed more reads it anew.
const MOST_REPLAYED: usize = 1_000;
/// Events of all that are looked through for them.
const MOST_READ: usize = 100_000;

/// How many of them are brought with their posts at once.
const LOADED: usize = 20;
const LOST: News = News::Lagged { missed: None, resume_after: None };

/// How long to wait for the hub, and for those who come back before.
const JOINING: Duration = Duration::from_secs(10);
/// How many of one user's subscribers may wait for what they missed.
const MOST_WAITING: usize = 64;

/// What a feed brings.
#[derive(Debug)]
pub enum News {
    Happened(Arc<Happening>),
    /// The last: some were not told, `missed` of them if that is known. Whoever goes on from `resume_after` misses none;
    /// without it, they are not kept any more.
    Lagged {
        missed: Option<u64>,
        resume_after: Option<Moment>,
    },
}

impl News {
    /// Who did it, if they are brought along.
    pub fn actor(&self) -> Option<Arc<user::Model>> {
        match self {
            Self::Happened(happening) => happening.users.get(&happening.event.actor).cloned(),
            Self::Lagged { .. } => None,
        }
    }
}

pub struct Feed {
    live: Live,
    id: u64,
    interest: Interest,
    session: Option<i64>,
    told: mpsc::Receiver<Told>,
    missed: Arc<AtomicU64>,
    /// What comes before what is told: not yet with its posts, since this moment; and with them.
    missed_before: VecDeque<event::Model>,
    since: Moment,
    replay: VecDeque<News>,
    last: Moment,
    is_over: bool,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.live.leave(self.id);
    }
}

impl Feed {
    pub(super) fn new(
        live: Live,
        id: u64,
        (interest, session): (Interest, Option<i64>),
        told: mpsc::Receiver<Told>,
        missed: Arc<AtomicU64>,
    ) -> Self {
        let (missed_before, replay) = (VecDeque::new(), VecDeque::new());
        let (since, last) = (Moment::default(), Moment::default());
        let is_over = false;
        Self {
            live,
            id,
            interest,
            session,
            told,
            missed,
            missed_before,
            since,
            replay,
            last,
            is_over,
        }
    }

    /// Waits until it is subscribed, and looks for what happened from `after` until then.
    pub(super) async fn begin(mut self, after: Option<Moment>) -> Result<Self, Error> {
        let authors = match timeout(JOINING, self.told.recv()).await {
            Ok(Some(Told::Joined(joined, authors))) => {
                self.last = joined;
                authors
            }
            Ok(Some(Told::SignedOut)) => return Err(signed_out()),
            _ => return Err(Error::Unavailable),
        };
        if let (Some(after), Interest::Timeline(owner)) = (after, self.interest) {
            let place = self.live.0.replaying.enter(owner, MOST_WAITING);
            let _place = place.ok_or(Error::Unavailable)?;
            let turn = async {
                let own = self.live.0.turns.take(owner).await;
                (own, self.live.0.replays.acquire().await)
            };
            let _turn = timeout(JOINING, turn).await.map_err(|_| Error::Unavailable)?;
            match self.missed_since(owner, &after, authors).await? {
                Some(missed) => (self.missed_before, self.since) = (missed, after),
                None => self.replay.push_back(LOST),
            }
        }
        Ok(self)
    }

    /// Brings the posts of the next few events that come before what is told.
    async fn load(&mut self) -> Result<(), Error> {
        let snapshot = Snapshot::in_turn(&self.live.0.db);
        let session: HashSet<i64> = self.session.into_iter().collect();
        if signed_in(&snapshot, &session).await? != session {
            self.is_over = true;
            return Err(signed_out());
        }
        let some: Vec<_> =
            self.missed_before.drain(..LOADED.min(self.missed_before.len())).collect();
        let shown = some.iter().filter(|event| shows_post(event));
        let posts: Vec<i64> = shown.map(|event| event.object).collect();
        let posts = entries(&snapshot, &posts).await?;
        let authors: Vec<i64> = posts.values().map(|entry| entry.author.id).collect();
        let users = Arc::new(users(&snapshot, &authors).await?);
        // Nothing has been told since the feed was subscribed.
        let (since, joined) = (&self.since, &self.last);
        self.replay.extend(some.into_iter().map(|event| {
            let moment = since.up_to((&event).into(), joined);
            let post = posts.get(&event.object).filter(|_| shows_post(&event)).cloned();
            News::Happened(Arc::new(Happening { event, moment, post, users: Arc::clone(&users) }))
        }));
        Ok(())
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the session is over.
    pub async fn next(&mut self) -> Result<Option<News>, Error> {
        if self.is_over {
            return Ok(None);
        }
        if self.replay.is_empty() && !self.missed_before.is_empty() {
            self.load().await?;
        }
        if let Some(news) = self.replay.pop_front() {
            self.is_over = matches!(news, News::Lagged { .. });
            return Ok(Some(news));
        }
        let told = match self.told.try_recv() {
            Ok(told) => Some(told),
            Err(_) if self.missed.load(Ordering::SeqCst) == 0 => self.told.recv().await,
            Err(_) => None,
        };
        match told {
            Some(Told::Happened(happening)) => {
                self.last = happening.moment.clone();
                return Ok(Some(News::Happened(happening)));
            }
            // Comes once, at the beginning.
            Some(Told::Joined(..)) => return Ok(None),
            _ => self.is_over = true,
        }
        match told {
            Some(Told::SignedOut) => Err(signed_out()),
            Some(_) => Ok(Some(LOST)),
            // There was no room for more, or nobody is there any more who would tell it.
            None => {
                let missed = Some(self.missed.load(Ordering::SeqCst)).filter(|missed| *missed > 0);
                Ok(Some(News::Lagged { missed, resume_after: Some(self.last.clone()) }))
            }
        }
    }

    /// Takes what waits as one with `happening`, which was taken last: the last of all.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the session is over.
    pub fn skip_waiting(&mut self, mut happening: Arc<Happening>) -> Result<Arc<Happening>, Error> {
        while let Ok(told) = self.told.try_recv() {
            match told {
                Told::Happened(later) => happening = later,
                Told::Joined(..) => {}
                Told::SignedOut => {
                    self.is_over = true;
                    return Err(signed_out());
                }
                Told::Lost => self.replay.push_back(LOST),
            }
        }
        Ok(happening)
    }

    /// What concerns the timeline of `owner` between `after` and the moment that the feed was subscribed, when it
    /// showed `authors`. `None` when that is not known any more, or too much.
    async fn missed_since(
        &self,
        owner: i64,
        after: &Moment,
        mut authors: HashSet<i64>,
    ) -> Result<Option<VecDeque<event::Model>>, Error> {
        let joined = &self.last;
        let snapshot = Snapshot::new(&self.live.0.db);
        if !log::reaches(&snapshot, after).await? {
            return Ok(None);
        }
        // Back to what it showed at the beginning, and then forward again.
        let is_due = |event: &&event::Model| joined.has_seen(event.txn);
        let follows = log::follows_since(&snapshot, after, owner).await?;
        for follow in follows.iter().rev().filter(is_due) {
            show(&mut authors, follow, Kind::Unfollowed);
        }
        let mut missed = VecDeque::new();
        let mut told = after.clone();
        for _ in 0..MOST_READ / log::CHUNK {
            let chapter = log::since(&snapshot, &told).await?;
            for event in chapter.events.iter().filter(is_due) {
                if concerns_timeline(event, owner, &authors) {
                    missed.push_back(event.clone());
                }
                if event.actor == owner {
                    show(&mut authors, event, Kind::Followed);
                }
            }
            told = chapter.until;
            if chapter.is_last || missed.len() > MOST_REPLAYED {
                break;
            }
        }
        let is_all = missed.len() <= MOST_REPLAYED && told.next() >= joined.next();
        Ok(is_all.then_some(missed))
    }
}

fn signed_out() -> Error {
    Error::Unauthenticated("The session is over. Log in again.")
}

fn concerns_timeline(event: &event::Model, owner: i64, authors: &HashSet<i64>) -> bool {
    match event.kind {
        Kind::Began => false,
        Kind::PostAdded | Kind::PostUpdated | Kind::PostRemoved => authors.contains(&event.actor),
        Kind::Followed | Kind::Unfollowed => event.actor == owner,
        // Who followed somebody that is gone is not known any more.
        Kind::UserRemoved | Kind::ManyChanged => true,
    }
}

/// The timeline shows the posts of whom its owner followed by `event`, or not any more. `adds` is the kind of event
/// that adds them: going back, it is the other one.
fn show(authors: &mut HashSet<i64>, event: &event::Model, adds: Kind) {
    match event.kind {
        kind @ (Kind::Followed | Kind::Unfollowed) if kind == adds => {
            authors.insert(event.object);
        }
        Kind::Followed | Kind::Unfollowed => {
            authors.remove(&event.object);
        }
        _ => {}
    }
}
