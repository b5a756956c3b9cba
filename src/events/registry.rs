//! The registry of subscribers: which of them an event concerns.
//!
//! It indexes the watched timelines by the authors that they show, so that the recipients of a post
//! are found without a scan of all subscribers. [`SubscriptionRegistry::apply_event`] updates the
//! index for follows, blocks and mutes. It marks all timelines stale after [`Kind::ManyChanged`],
//! and the hub reloads them. A deleted author stays in the index and no longer posts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use entity::event::{self, Kind};
use tokio::sync::mpsc;

use super::authors::Authors;
use super::counted::CountedPosts;
use super::index::{ByAuthor, ByUser, hide, insert_sorted, remove_from, remove_sorted, show};
use super::{HubMessage, Topic};

/// The hub's end of one subscription.
pub struct Subscriber {
    pub topic: Topic,
    /// The subscriber's session, or `None` without a session.
    ///
    /// The subscription ends when the session ends.
    pub session: Option<i64>,
    /// Whether the hub must send the authors with [`HubMessage::Joined`].
    pub is_resuming: bool,
    pub sender: mpsc::Sender<HubMessage>,
    /// Number of messages that were dropped because the buffer was full.
    ///
    /// After the first of them all messages are dropped. The client thus receives a prefix of the
    /// events, and then the end.
    pub dropped: Arc<AtomicU64>,
}

impl Subscriber {
    /// Sends a message, or counts it as dropped.
    pub fn send(&self, message: HubMessage) {
        if self.dropped.load(Ordering::SeqCst) > 0 || self.sender.try_send(message).is_err() {
            self.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A timeline that has at least one subscriber.
#[derive(Default)]
pub struct WatchedTimeline {
    /// The owner and all users whom the owner follows, sorted.
    followed: Vec<i64>,
    /// Users whom the owner mutes, sorted.
    muted: Vec<i64>,
    /// Users whom the owner blocks, or who block the owner, sorted.
    blocked: Vec<i64>,
    /// Ids of its subscribers.
    pub watchers: HashSet<u64>,
}

impl WatchedTimeline {
    fn follows(&self, author: i64) -> bool {
        self.followed.binary_search(&author).is_ok()
    }

    fn shows(&self, author: i64) -> bool {
        self.follows(author) && self.muted.binary_search(&author).is_err()
    }

    pub fn authors(&self) -> Authors {
        let set = |ids: &[i64]| ids.iter().copied().collect();
        Authors {
            followed: set(&self.followed),
            muted: set(&self.muted),
            blocked: set(&self.blocked),
        }
    }

    /// Whether the timeline shows reposts of posts of this unprotected user.
    fn shows_reposts_of(&self, author: i64) -> bool {
        let hides = [&self.followed, &self.muted, &self.blocked];
        !hides.iter().any(|users| users.binary_search(&author).is_ok())
    }

    /// Users whose posts the timeline shows.
    fn shown(&self) -> impl Iterator<Item = i64> {
        self.followed.iter().copied().filter(|author| self.muted.binary_search(author).is_err())
    }
}

/// All subscribers of this instance.
#[derive(Default)]
pub struct SubscriptionRegistry {
    /// Subscribers that receive events, by id.
    pub subscribers: HashMap<u64, Subscriber>,
    /// Watched timelines, by owner.
    pub timelines: HashMap<i64, WatchedTimeline>,
    /// Owners of the watched timelines that show an author, by author.
    owners_by_author: ByAuthor,
    /// Ids of the subscribers of a user's relationships or counts, by user.
    subscribers_by_user: ByUser<u64>,
    /// Ids of the subscribers of a user's notifications, by user.
    pub notification_subscribers: ByUser<u64>,
    /// Subscribers that the hub adds at its next poll, by id.
    pub pending: HashMap<u64, Subscriber>,
    /// Owners of watched timelines whose authors have to be read again.
    pub stale: HashSet<i64>,
    /// Posts whose counts have changed.
    pub counted: CountedPosts,
}

impl SubscriptionRegistry {
    /// Number of subscribers, pending ones included.
    pub fn count(&self) -> usize {
        self.subscribers.len() + self.pending.len()
    }

    pub fn add(&mut self, id: u64, subscriber: Subscriber) {
        match subscriber.topic {
            Topic::Timeline(owner) => {
                self.timelines.entry(owner).or_default().watchers.insert(id);
            }
            Topic::Relationships(user) | Topic::Counts(user) => {
                self.subscribers_by_user.entry(user).or_default().insert(id);
            }
            Topic::Notifications(user) => {
                self.notification_subscribers.entry(user).or_default().insert(id);
            }
        }
        self.subscribers.insert(id, subscriber);
    }

    pub fn remove(&mut self, id: u64) -> Option<Subscriber> {
        if let Some(subscriber) = self.pending.remove(&id) {
            return Some(subscriber);
        }
        let subscriber = self.subscribers.remove(&id)?;
        match subscriber.topic {
            Topic::Timeline(owner) => {
                let timeline = self.timelines.get_mut(&owner)?;
                timeline.watchers.remove(&id);
                if timeline.watchers.is_empty() {
                    self.set_authors(owner, Authors::default());
                    self.timelines.remove(&owner);
                }
            }
            Topic::Relationships(user) | Topic::Counts(user) => {
                remove_from(&mut self.subscribers_by_user, user, &id);
            }
            Topic::Notifications(user) => {
                remove_from(&mut self.notification_subscribers, user, &id);
            }
        }
        Some(subscriber)
    }

    /// Replaces the authors of the owner's timeline.
    pub fn set_authors(&mut self, owner: i64, authors: Authors) {
        let sorted = |ids: HashSet<i64>| {
            let mut ids = Vec::from_iter(ids);
            ids.sort_unstable();
            ids
        };
        let timeline = self.timelines.entry(owner).or_default();
        let previous = std::mem::take(timeline);
        timeline.watchers.clone_from(&previous.watchers);
        timeline.followed = sorted(authors.followed);
        timeline.muted = sorted(authors.muted);
        timeline.blocked = sorted(authors.blocked);
        for author in previous.shown().filter(|author| !timeline.shows(*author)) {
            hide(&mut self.owners_by_author, author, owner);
        }
        for author in timeline.shown().filter(|author| !previous.shows(*author)) {
            show(&mut self.owners_by_author, author, owner);
        }
    }

    /// Whether a watched timeline shows this author.
    pub fn is_shown(&self, author: i64) -> bool {
        self.owners_by_author.contains_key(&author)
    }

    /// Owners of watched timelines that show an author.
    fn owners_showing(&self, author: i64) -> impl Iterator<Item = i64> {
        self.owners_by_author.get(&author).into_iter().flatten().copied()
    }

    /// Users whose relationships or counts have subscribers.
    pub fn subscribed_users(&self) -> impl Iterator<Item = i64> {
        self.subscribers_by_user.keys().copied()
    }

    /// Ids of the subscribers that receive an event.
    pub fn recipients(&self, event: &event::Model) -> Vec<u64> {
        let watchers =
            |owner| self.timelines.get(&owner).into_iter().flat_map(|timeline| &timeline.watchers);
        let showing = self.owners_showing(event.actor).flat_map(watchers).copied();
        match event.kind {
            // The subscribers of a counted post receive it later, and not for each change. Those of
            // notifications receive all changes of a transaction as one event.
            Kind::LogStarted
            | Kind::PostCounted
            | Kind::Notified
            | Kind::NotificationWithdrawn
            | Kind::NotificationsRead => vec![],
            // The subscribers of users receive its parts.
            Kind::Several => {
                let owner = Self::changed_timelines(event).into_iter().take(1);
                owner.flat_map(watchers).copied().collect()
            }
            Kind::PostAdded
            | Kind::PostUpdated
            | Kind::PostRemoved
            | Kind::Reposted
            | Kind::Unreposted
            | Kind::RepostsHidden => showing.collect(),
            Kind::Followed
            | Kind::Unfollowed
            | Kind::Blocked
            | Kind::Unblocked
            | Kind::Muted
            | Kind::Unmuted
            | Kind::FollowRequested
            | Kind::FollowRequestEnded => {
                let changed = Self::changed_timelines(event).into_iter().flat_map(watchers);
                self.subscribers_of_users(event).into_iter().chain(changed.copied()).collect()
            }
            // The event does not say whose counts the deletion has changed.
            Kind::UserRemoved => {
                let of_users = self.subscribers_by_user.values().flatten().copied();
                // The session of the deleted user has ended, and so do the streams.
                let of_notifications = self.subscribers_of_notifications(event.actor);
                showing.chain(of_users).chain(of_notifications).collect()
            }
            // The hub selects those that show reposters, if it can read all of these.
            Kind::ManyRepostsHidden => {
                self.timelines.values().flat_map(|timeline| &timeline.watchers).copied().collect()
            }
            // Clients read notifications again after a command: an import can delete some.
            Kind::ManyChanged => {
                let is_concerned =
                    |subscriber: &Subscriber| !matches!(subscriber.topic, Topic::Notifications(_));
                let all = self.subscribers.iter();
                all.filter(|(_, subscriber)| is_concerned(subscriber)).map(|(id, _)| *id).collect()
            }
        }
    }

    /// Ids of the subscribers of a user's notifications.
    pub fn subscribers_of_notifications(&self, user: i64) -> impl Iterator<Item = u64> {
        self.notification_subscribers.get(&user).into_iter().flatten().copied()
    }

    /// Ids of the subscribers whose timelines show the posts of a user.
    pub fn watchers_of(&self, author: i64) -> impl Iterator<Item = u64> {
        let timelines = self.owners_showing(author).filter_map(|owner| self.timelines.get(&owner));
        timelines.flat_map(|timeline| &timeline.watchers).copied()
    }

    /// Ids of the subscribers whose timelines show a user's reposts of an author.
    pub fn watchers_of_reposts(&self, reposter: i64, author: i64) -> impl Iterator<Item = u64> {
        let timelines =
            self.owners_showing(reposter).filter_map(|owner| self.timelines.get(&owner));
        let shown = timelines.filter(move |timeline| timeline.shows_reposts_of(author));
        shown.flat_map(|timeline| &timeline.watchers).copied()
    }

    /// Ids of the subscribers of the two users of an event who are to be informed.
    ///
    /// A subscriber of both users is there once.
    pub fn subscribers_of_users(&self, event: &event::Model) -> HashSet<u64> {
        if matches!(event.kind, Kind::Notified | Kind::NotificationWithdrawn) {
            // A part, whose object is no user.
            return HashSet::new();
        }
        let users = [event.actor, event.object];
        let is_private = matches!(event.kind, Kind::Muted | Kind::Unmuted);
        let informed = if is_private { &users[..1] } else { &users };
        // Mutes and requests change no counts, whose subscribers would notice them.
        let is_request = matches!(event.kind, Kind::FollowRequested | Kind::FollowRequestEnded);
        let is_informed = |id: &&u64| {
            let topic = self.subscribers.get(id).map(|subscriber| subscriber.topic);
            let is_of_pair = matches!(topic, Some(Topic::Relationships(_)));
            is_of_pair || !(is_private || is_request)
        };
        let of_users = informed.iter().filter_map(|user| self.subscribers_by_user.get(user));
        of_users.flatten().filter(is_informed).copied().collect()
    }

    /// The owners whose timelines an event changes.
    fn changed_timelines(event: &event::Model) -> Vec<i64> {
        let (actor, object) = (event.actor, event.object);
        match event.kind {
            Kind::Followed | Kind::Unfollowed | Kind::Muted | Kind::Unmuted => vec![actor],
            Kind::Several => {
                event.parts().flat_map(|part| Self::changed_timelines(&part)).collect()
            }
            Kind::Blocked | Kind::Unblocked => vec![actor, object],
            _ => vec![],
        }
    }

    /// Updates the authors of timelines after an event of two users.
    ///
    /// After [`Kind::ManyChanged`], marks all watched timelines stale, and after
    /// [`Kind::Unblocked`] those of both users. Other events change nothing.
    pub fn apply_event(&mut self, event: &event::Model) {
        let (actor, object) = (event.actor, event.object);
        match event.kind {
            Kind::Followed => {
                self.change(actor, object, |timeline| {
                    insert_sorted(&mut timeline.followed, object);
                });
            }
            Kind::Unfollowed => {
                self.change(actor, object, |timeline| {
                    remove_sorted(&mut timeline.followed, object);
                });
            }
            Kind::Blocked => {
                for (owner, author) in [(actor, object), (object, actor)] {
                    let unfollow = |timeline: &mut WatchedTimeline| {
                        remove_sorted(&mut timeline.followed, author);
                        insert_sorted(&mut timeline.blocked, author);
                    };
                    self.change(owner, author, unfollow);
                }
            }
            // The other user may still block. Both receive a reset in any case.
            Kind::Unblocked => {
                let watched =
                    [actor, object].into_iter().filter(|o| self.timelines.contains_key(o));
                self.stale.extend(watched.collect::<Vec<_>>());
            }
            Kind::Muted => {
                self.change(actor, object, |timeline| insert_sorted(&mut timeline.muted, object));
            }
            Kind::Unmuted => {
                self.change(actor, object, |timeline| remove_sorted(&mut timeline.muted, object));
            }
            Kind::Several => event.parts().for_each(|part| self.apply_event(&part)),
            Kind::ManyChanged => self.stale.extend(self.timelines.keys()),
            _ => {}
        }
    }

    /// Changes whether the timeline of `owner`, if it is watched, shows `author`.
    fn change(&mut self, owner: i64, author: i64, change: impl FnOnce(&mut WatchedTimeline)) {
        let Some(timeline) = self.timelines.get_mut(&owner) else { return };
        change(timeline);
        if timeline.shows(author) {
            show(&mut self.owners_by_author, author, owner);
        } else {
            hide(&mut self.owners_by_author, author, owner);
        }
    }
}
