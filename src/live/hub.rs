//! The one task that reads events and hands them out, and its book of who wants which.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use entity::event::{self, Kind};
use sea_orm::FromQueryResult;
use tokio::sync::mpsc;

use super::{Happening, Index, Interest, Live, Told, log, shows_post};
use crate::database::{Moment, Snapshot};
use crate::error::Error;
use crate::loader::entries;

/// How often to see whether events are old enough to go.
const PRUNING: Duration = Duration::from_mins(1);
/// How many are subscribed with one look at most, and whose follows are read with one statement.
const MOST_JOINING: usize = 1_000;
const AT_ONCE: usize = 100;
/// How long to wait before the database is asked again.
const BREATHER: Duration = Duration::from_secs(1);

pub struct Subscriber {
    interest: Interest,
    /// By whose end it ends.
    session: Option<i64>,
    sender: mpsc::Sender<Told>,
    /// Events that found no room; from the first on, none is sent.
    missed: Arc<AtomicU64>,
    /// Whose posts the timeline shows.
    authors: HashSet<i64>,
}

impl Subscriber {
    pub fn new(
        interest: Interest,
        session: Option<i64>,
        sender: mpsc::Sender<Told>,
        missed: Arc<AtomicU64>,
    ) -> Self {
        Self { interest, session, sender, missed, authors: HashSet::new() }
    }

    fn tell(&self, told: Told) {
        if self.missed.load(Ordering::SeqCst) > 0 || self.sender.try_send(told).is_err() {
            self.missed.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Who is subscribed.
#[derive(Default)]
pub struct State {
    subscribers: HashMap<u64, Subscriber>,
    /// Those whose timelines show an author.
    by_author: Index,
    /// Those who want to hear of a user's follows.
    by_person: Index,
    /// Those who are to be subscribed at the next look.
    pub joining: HashMap<u64, Subscriber>,
    /// Those whose timelines have changed altogether.
    stale: HashSet<u64>,
}

impl State {
    pub fn count(&self) -> usize {
        self.subscribers.len() + self.joining.len()
    }

    fn add(&mut self, id: u64, mut subscriber: Subscriber, authors: HashSet<i64>) {
        self.by_person.entry(subscriber.interest.person()).or_default().insert(id);
        for author in &authors {
            self.by_author.entry(*author).or_default().insert(id);
        }
        subscriber.authors = authors;
        self.subscribers.insert(id, subscriber);
    }

    pub fn remove(&mut self, id: u64) -> Option<Subscriber> {
        if let Some(joining) = self.joining.remove(&id) {
            return Some(joining);
        }
        let subscriber = self.subscribers.remove(&id)?;
        take_out(&mut self.by_person, subscriber.interest.person(), id);
        for author in &subscriber.authors {
            take_out(&mut self.by_author, *author, id);
        }
        Some(subscriber)
    }

    /// Whom an event concerns.
    fn concerned(&self, event: &event::Model) -> Vec<u64> {
        let of = |index: &Index, key| index.get(&key).into_iter().flatten().copied().collect();
        let everybody = |wanted: fn(&Subscriber) -> bool| {
            let all = self.subscribers.iter().filter(move |(_, one)| wanted(one));
            all.map(|(id, _)| *id)
        };
        match event.kind {
            Kind::Began => vec![],
            Kind::PostAdded | Kind::PostUpdated | Kind::PostRemoved => {
                of(&self.by_author, event.actor)
            }
            Kind::Followed | Kind::Unfollowed => {
                let both: HashSet<u64> = [event.actor, event.object]
                    .iter()
                    .flat_map(|person| self.by_person.get(person).into_iter().flatten())
                    .copied()
                    .collect();
                // Who follows a timeline's owner does not change it.
                let concerns = |id: &u64| match self.subscribers.get(id).map(|one| one.interest) {
                    Some(Interest::Timeline(owner)) => owner == event.actor,
                    one => one.is_some(),
                };
                both.into_iter().filter(concerns).collect()
            }
            Kind::UserRemoved => {
                let mut all: Vec<u64> = of(&self.by_author, event.actor);
                // Anybody's counts may have changed.
                all.extend(everybody(|one| matches!(one.interest, Interest::Person(_))));
                all
            }
            Kind::ManyChanged => everybody(|_| true).collect(),
        }
    }

    /// Timelines show from now on what they show after `event`.
    fn follow(&mut self, event: &event::Model) {
        for id in self.by_person.get(&event.actor).cloned().unwrap_or_default() {
            let Some(one) = self.subscribers.get_mut(&id) else { continue };
            if one.interest != Interest::Timeline(event.actor) {
                continue;
            }
            if event.kind == Kind::Followed {
                one.authors.insert(event.object);
                self.by_author.entry(event.object).or_default().insert(id);
            } else {
                one.authors.remove(&event.object);
                take_out(&mut self.by_author, event.object, id);
            }
        }
    }
}

fn take_out(index: &mut Index, key: i64, id: u64) {
    if let Some(ids) = index.get_mut(&key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(&key);
        }
    }
}

impl Live {
    /// Looks whenever the bell rings, for as long as anybody else has this hub.
    pub(super) async fn run(self) {
        let mut told = None;
        let mut pruned = Instant::now();
        while Arc::strong_count(&self.0) > 1 {
            let telling = &self.0.telling;
            let patience = if self.subscribers() > 0 { telling.patience } else { PRUNING };
            self.0.db.bell().heard(patience).await;
            if self.look(&mut told).await.is_err() {
                tokio::time::sleep(BREATHER).await;
            }
            if pruned.elapsed() >= PRUNING {
                let more = self.prune().await.unwrap_or_default();
                pruned = if more { pruned } else { Instant::now() };
            }
        }
    }

    /// Tells what has happened since `told`; then those who have come since are subscribed, of the same moment.
    /// Nothing is told while nobody is.
    async fn look(&self, told: &mut Option<Moment>) -> Result<(), Error> {
        if self.subscribers() == 0 {
            *told = None;
            return Ok(());
        }
        // Who comes later may have seen more than this snapshot.
        let joining: Vec<u64> = self.state().joining.keys().copied().take(MOST_JOINING).collect();
        if joining.len() == MOST_JOINING {
            self.0.db.bell().ring_here();
        }
        let snapshot = Snapshot::new(&self.0.db);
        let mut now = match told.take() {
            Some(told) => told,
            None => snapshot.moment().await?,
        };
        loop {
            let chapter = log::since(&snapshot, &now).await;
            let chapter = chapter.inspect_err(|_| *told = Some(now.clone()))?;
            let done = self.tell(&snapshot, &now, &chapter).await;
            done.inspect_err(|_| *told = Some(now.clone()))?;
            now = chapter.until;
            if chapter.is_last {
                break;
            }
        }
        *told = Some(now.clone());
        self.join(&snapshot, &now, joining).await
    }

    async fn tell(
        &self,
        snapshot: &Snapshot,
        told: &Moment,
        chapter: &log::Chapter,
    ) -> Result<(), Error> {
        let (posts, sessions) = self.needed(&chapter.events);
        let posts = entries(snapshot, &posts).await?;
        let signed_in = signed_in(snapshot, &sessions).await?;
        // Nothing fails from here on, so nothing is told twice.
        let mut state = self.state();
        for event in &chapter.events {
            let concerned = state.concerned(event);
            match event.kind {
                Kind::Followed | Kind::Unfollowed => state.follow(event),
                Kind::ManyChanged => state.stale.extend(&concerned),
                _ => {}
            }
            if concerned.is_empty() {
                continue;
            }
            let happening = Arc::new(Happening {
                event: event.clone(),
                moment: told.up_to(event.txn, &chapter.until),
                post: posts.get(&event.object).filter(|_| shows_post(event)).cloned(),
            });
            for id in concerned {
                let Some(one) = state.subscribers.get(&id) else { continue };
                if one.session.is_none_or(|session| signed_in.contains(&session)) {
                    one.tell(Told::Happened(Arc::clone(&happening)));
                } else if let Some(one) = state.remove(id) {
                    one.tell(Told::SignedOut);
                }
            }
        }
        Ok(())
    }

    /// The posts that events are told with, and the sessions of all whom they may concern.
    fn needed(&self, events: &[event::Model]) -> (Vec<i64>, HashSet<i64>) {
        let state = self.state();
        let followed: HashSet<i64> = events
            .iter()
            .filter(|event| event.kind == Kind::Followed)
            .map(|event| event.object)
            .collect();
        let watched = |author| state.by_author.contains_key(&author) || followed.contains(&author);
        let posts = events.iter().filter(|event| shows_post(event) && watched(event.actor));
        let posts = posts.map(|event| event.object).collect();
        let concerned = events.iter().flat_map(|event| state.concerned(event));
        let sessions = concerned.filter_map(|id| state.subscribers.get(&id)?.session);
        (posts, sessions.collect())
    }

    /// Subscribes those who wait for it, and those whose timelines have changed altogether anew.
    async fn join(
        &self,
        snapshot: &Snapshot,
        now: &Moment,
        joining: Vec<u64>,
    ) -> Result<(), Error> {
        let (mut owners, mut sessions) = (HashSet::new(), HashSet::new());
        let ids: HashSet<u64> = {
            let state = self.state();
            let changed =
                state.stale.iter().filter_map(|id| Some((*id, state.subscribers.get(id)?)));
            let new = joining.iter().filter_map(|id| Some((*id, state.joining.get(id)?)));
            let all = new.chain(changed).inspect(|(_, one)| {
                sessions.extend(one.session);
                if let Interest::Timeline(owner) = one.interest {
                    owners.insert(owner);
                }
            });
            all.map(|(id, _)| id).collect()
        };
        let follows = follows(snapshot, &owners).await?;
        let signed_in = signed_in(snapshot, &sessions).await?;
        let mut state = self.state();
        for id in ids {
            // Whoever left meanwhile is not there any more.
            let is_new = state.joining.contains_key(&id);
            let Some(one) = state.remove(id) else { continue };
            if one.session.is_some_and(|session| !signed_in.contains(&session)) {
                one.tell(Told::SignedOut);
                continue;
            }
            let mut authors = HashSet::new();
            if let Interest::Timeline(owner) = one.interest {
                authors.extend(follows.get(&owner).into_iter().flatten().copied());
                authors.insert(owner);
            }
            if is_new {
                self.0.joined.fetch_add(1, Ordering::Relaxed);
                one.tell(Told::Joined(now.clone(), authors.iter().copied().collect()));
            }
            state.add(id, one, authors);
        }
        state.stale.clear();
        Ok(())
    }
}

/// Which of these sessions are still open.
async fn signed_in(snapshot: &Snapshot, sessions: &HashSet<i64>) -> Result<HashSet<i64>, Error> {
    #[derive(FromQueryResult)]
    struct Open {
        id: i64,
    }
    if sessions.is_empty() {
        return Ok(HashSet::new());
    }
    let engine = snapshot.engine();
    let sql = format!("SELECT id FROM session WHERE {} AND expires_at > $2", engine.is_in("id", 1));
    let values = [engine.keys(sessions.iter().copied()), Utc::now().into()];
    let open: Vec<Open> = snapshot.all(&sql, values).await?;
    Ok(open.into_iter().map(|session| session.id).collect())
}

/// Whom each of these users follows.
async fn follows(
    snapshot: &Snapshot,
    users: &HashSet<i64>,
) -> Result<HashMap<i64, Vec<i64>>, Error> {
    #[derive(FromQueryResult)]
    struct Follow {
        follower_id: i64,
        followed_id: i64,
    }
    let engine = snapshot.engine();
    let these = engine.is_in("follower_id", 1);
    let sql = format!("SELECT follower_id, followed_id FROM follow WHERE {these}");
    let mut follows: HashMap<i64, Vec<i64>> = HashMap::new();
    let users: Vec<i64> = users.iter().copied().collect();
    for some in users.chunks(AT_ONCE) {
        let rows: Vec<Follow> = snapshot.all(&sql, [engine.keys(some.iter().copied())]).await?;
        for Follow { follower_id, followed_id } in rows {
            follows.entry(follower_id).or_default().push(followed_id);
        }
    }
    Ok(follows)
}
