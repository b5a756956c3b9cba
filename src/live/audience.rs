//! Who is subscribed, and whom an event concerns: a map from authors to the timelines that show them, of those
//! that are watched, kept by the same events.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use entity::event::{self, Kind};
use tokio::sync::mpsc;

use super::{Interest, Told};

pub struct Subscriber {
    pub interest: Interest,
    /// By whose end it ends.
    pub session: Option<i64>,
    /// To be told first what they missed.
    pub comes_back: bool,
    pub sender: mpsc::Sender<Told>,
    /// Events that found no room; from the first on, none is sent.
    pub missed: Arc<AtomicU64>,
}

impl Subscriber {
    pub fn tell(&self, told: Told) {
        if self.missed.load(Ordering::SeqCst) > 0 || self.sender.try_send(told).is_err() {
            self.missed.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Sets of users, or of subscribers, by a user.
pub type Index<T> = HashMap<i64, HashSet<T>>;

/// A timeline that is watched, however often.
#[derive(Default)]
pub struct Timeline {
    /// Whose posts it shows.
    pub authors: HashSet<i64>,
    pub watchers: HashSet<u64>,
}

/// Who is subscribed.
#[derive(Default)]
pub struct Audience {
    pub subscribers: HashMap<u64, Subscriber>,
    /// By owner.
    pub timelines: HashMap<i64, Timeline>,
    /// The owners of those that show an author.
    by_author: Index<i64>,
    /// Those who want to hear of a user's follows.
    by_person: Index<u64>,
    /// Those who are to be subscribed at the next look.
    pub joining: HashMap<u64, Subscriber>,
    /// The owners of timelines that have changed altogether.
    pub stale: HashSet<i64>,
}

impl Audience {
    pub fn count(&self) -> usize {
        self.subscribers.len() + self.joining.len()
    }

    pub fn add(&mut self, id: u64, subscriber: Subscriber) {
        match subscriber.interest {
            Interest::Timeline(owner) => {
                self.timelines.entry(owner).or_default().watchers.insert(id);
            }
            Interest::Person(person) => {
                self.by_person.entry(person).or_default().insert(id);
            }
        }
        self.subscribers.insert(id, subscriber);
    }

    pub fn remove(&mut self, id: u64) -> Option<Subscriber> {
        if let Some(joining) = self.joining.remove(&id) {
            return Some(joining);
        }
        let subscriber = self.subscribers.remove(&id)?;
        match subscriber.interest {
            Interest::Timeline(owner) => {
                let timeline = self.timelines.get_mut(&owner)?;
                timeline.watchers.remove(&id);
                if timeline.watchers.is_empty() {
                    self.show(owner, HashSet::new());
                    self.timelines.remove(&owner);
                }
            }
            Interest::Person(person) => take_out(&mut self.by_person, person, &id),
        }
        Some(subscriber)
    }

    /// The owner's timeline shows these authors, and no others.
    pub fn show(&mut self, owner: i64, authors: HashSet<i64>) {
        let timeline = self.timelines.entry(owner).or_default();
        let before = std::mem::replace(&mut timeline.authors, authors);
        for author in before.difference(&timeline.authors) {
            take_out(&mut self.by_author, *author, &owner);
        }
        for author in timeline.authors.difference(&before) {
            self.by_author.entry(*author).or_default().insert(owner);
        }
    }

    /// Whether anybody watches a timeline that shows this author.
    pub fn shows(&self, author: i64) -> bool {
        self.by_author.contains_key(&author)
    }

    /// Those whose follows somebody wants to hear of.
    pub fn persons(&self) -> impl Iterator<Item = i64> {
        self.by_person.keys().copied()
    }

    /// Whom an event concerns.
    pub fn concerned(&self, event: &event::Model) -> Vec<u64> {
        let watch = |owner| self.timelines.get(&owner).into_iter().flat_map(|it| &it.watchers);
        let showing = self.by_author.get(&event.actor).into_iter().flatten();
        let showing = showing.flat_map(|owner| watch(*owner)).copied();
        match event.kind {
            Kind::Began => vec![],
            Kind::PostAdded | Kind::PostUpdated | Kind::PostRemoved => showing.collect(),
            Kind::Followed | Kind::Unfollowed => {
                let both = [event.actor, event.object];
                let of_both =
                    both.iter().flat_map(|it| self.by_person.get(it).into_iter().flatten());
                let concerned: HashSet<u64> = of_both.chain(watch(event.actor)).copied().collect();
                concerned.into_iter().collect()
            }
            // Anybody's counts may have changed.
            Kind::UserRemoved => {
                showing.chain(self.by_person.values().flatten().copied()).collect()
            }
            Kind::ManyChanged => self.subscribers.keys().copied().collect(),
        }
    }

    /// Timelines show from now on what they show after `event`.
    pub fn follow(&mut self, event: &event::Model) {
        if event.kind == Kind::ManyChanged {
            self.stale.extend(self.timelines.keys());
        }
        let Some(timeline) = self.timelines.get_mut(&event.actor) else { return };
        match event.kind {
            Kind::Followed => {
                timeline.authors.insert(event.object);
                self.by_author.entry(event.object).or_default().insert(event.actor);
            }
            Kind::Unfollowed => {
                timeline.authors.remove(&event.object);
                take_out(&mut self.by_author, event.object, &event.actor);
            }
            _ => {}
        }
    }
}

fn take_out<T: Eq + Hash>(index: &mut Index<T>, key: i64, one: &T) {
    if let Some(all) = index.get_mut(&key) {
        all.remove(one);
        if all.is_empty() {
            index.remove(&key);
        }
    }
}
