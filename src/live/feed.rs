//! A subscriber's end: what happened since they were last here, read from the table, and then what comes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use entity::event::{self, Kind};
use tokio::sync::mpsc;

use super::{Happening, Interest, Live, Told, log};
use crate::database::{Moment, Snapshot};
use crate::error::Error;
use crate::loader::entries;

/// Events that concern a timeline are replayed up to this number; who missed more reads it anew.
pub const MOST_REPLAYED: usize = 1_000;
/// Events of all that are looked through for them.
const MOST_READ: usize = 100_000;

/// What a feed brings.
#[derive(Debug)]
pub enum News {
    Happened(Arc<Happening>),
    /// The last: events were dropped, `missed` of them so far, or are not kept any more. Whoever goes on from
    /// `resume_after` misses none.
    Lagged {
        missed: Option<u64>,
        resume_after: Option<Moment>,
    },
}

pub struct Feed {
    live: Live,
    id: u64,
    interest: Interest,
    told: mpsc::Receiver<Told>,
    missed: Arc<AtomicU64>,
    /// What comes before what is told.
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
        interest: Interest,
        told: mpsc::Receiver<Told>,
        missed: Arc<AtomicU64>,
    ) -> Self {
        let (replay, last) = (VecDeque::new(), Moment::default());
        Self { live, id, interest, told, missed, replay, last, is_over: false }
    }

    /// Waits until it is subscribed, and reads what happened from `after` until then.
    pub(super) async fn begin(mut self, after: Option<Moment>) -> Result<Self, Error> {
        let Some(Told::Joined(joined, authors)) = self.told.recv().await else {
            return Err(Error::Unavailable);
        };
        self.last = joined;
        if let (Some(after), Interest::Timeline(owner)) = (after, self.interest) {
            self.replay = self.replay(owner, &after, authors).await?;
        }
        Ok(self)
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the session is over.
    pub async fn next(&mut self) -> Result<Option<News>, Error> {
        if self.is_over {
            return Ok(None);
        }
        if let Some(news) = self.replay.pop_front() {
            self.is_over = matches!(news, News::Lagged { .. });
            return Ok(Some(news));
        }
        let told = match self.told.try_recv() {
            Ok(told) => Some(told),
            Err(_) => match self.missed.load(Ordering::SeqCst) {
                0 => self.told.recv().await,
                missed => {
                    self.is_over = true;
                    let resume_after = Some(self.last.clone());
                    return Ok(Some(News::Lagged { missed: Some(missed), resume_after }));
                }
            },
        };
        match told {
            Some(Told::Happened(happening)) => {
                self.last = happening.moment.clone();
                Ok(Some(News::Happened(happening)))
            }
            Some(Told::SignedOut) => {
                self.is_over = true;
                Err(Error::Unauthenticated("The session is over. Log in again."))
            }
            Some(Told::Joined(..)) | None => Ok(None),
        }
    }

    /// What concerns the timeline of `owner` between `after` and the moment that the feed was subscribed, when it
    /// showed `authors`.
    async fn replay(
        &self,
        owner: i64,
        after: &Moment,
        authors: Vec<i64>,
    ) -> Result<VecDeque<News>, Error> {
        let joined = &self.last;
        let lagged = || VecDeque::from([News::Lagged { missed: None, resume_after: None }]);
        let snapshot = Snapshot::new(&self.live.0.db);
        if !log::reaches(&snapshot, after).await? {
            return Ok(lagged());
        }
        // Back to what it showed at the beginning, and then forward again.
        let mut authors: HashSet<i64> = authors.into_iter().collect();
        let is_due = |event: &event::Model| joined.has_seen(event.txn);
        for follow in
            log::follows_since(&snapshot, after, owner).await?.iter().rev().filter(|e| is_due(e))
        {
            show(&mut authors, follow, Kind::Unfollowed);
        }
        let mut concerns = Vec::new();
        let mut told = after.clone();
        for _ in 0..MOST_READ / log::CHUNK {
            let chapter = log::since(&snapshot, &told).await?;
            for event in chapter.events.iter().filter(|event| is_due(event)) {
                if concerns_timeline(event, owner, &authors) {
                    concerns.push((event.clone(), after.up_to(event.txn, joined)));
                }
                if event.actor == owner {
                    show(&mut authors, event, Kind::Followed);
                }
            }
            told = chapter.until;
            if chapter.is_last || concerns.len() > MOST_REPLAYED {
                break;
            }
        }
        if concerns.len() > MOST_REPLAYED || told.next() < joined.next() {
            return Ok(lagged());
        }
        let posts: Vec<i64> = concerns.iter().map(|(event, _)| event.object).collect();
        let posts = entries(&snapshot, &posts).await?;
        let news = concerns.into_iter().map(|(event, moment)| {
            let post = match event.kind {
                Kind::PostAdded | Kind::PostUpdated => posts.get(&event.object).cloned(),
                _ => None,
            };
            News::Happened(Arc::new(Happening { event, moment, post }))
        });
        Ok(news.collect())
    }
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
