//! Fair permits for a scarce resource, such as the connections of the database.
//!
//! While permits are free, each key gets as many as it requests. When none is free, the next one
//! goes to the waiting key that holds the fewest, and among those to the one whose last permit is
//! oldest, so that keys take turns for a single permit. When too many requests wait, a further one
//! takes the place of the newest of the key with the most. A client network that sends many
//! requests therefore delays and loses its own requests first. This is max-min fairness; no permit
//! but a reserve is idle while a request waits. Written by hand because tokio's `Semaphore` is
//! first come, first served, and tower has no fair queueing.
//!
//! Within a key, the oldest request goes first, also when it needs its twentieth permit and the
//! others need their first. Requests that need many permits therefore complete one by one. With
//! turns among them, all would complete at the end, and until then hold whatever else they need.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::Error;

/// A semaphore whose permits are shared fairly among keys.
///
/// Clones share the permits.
#[derive(Debug)]
pub struct FairSemaphore<K: Copy + Eq + Hash>(Arc<Mutex<State<K>>>);

#[derive(Debug)]
struct State<K: Copy + Eq + Hash> {
    free: usize,
    reserve: Reserve,
    /// The keys that hold a permit or wait for one.
    shares: HashMap<K, Share<K>>,
    waiting: usize,
    max_waiting: usize,
    /// Number of requests and permits so far, which orders them.
    next_number: u64,
}

/// The last free permits, which only keys with few permits get.
#[derive(Clone, Copy, Debug, Default)]
struct Reserve {
    permits: usize,
    per_key: usize,
}

/// What a key holds and waits for.
#[derive(Debug)]
struct Share<K: Copy + Eq + Hash> {
    held: usize,
    /// The number of its last permit.
    ///
    /// Before the first it is the number of its first request: a key that was idle does not
    /// overtake a key that has waited for longer.
    last_granted: u64,
    queue: BTreeMap<Rank, oneshot::Sender<FairPermit<K>>>,
}

/// The order of a key's waiting requests: by their number, then by arrival.
type Rank = (u64, u64);

/// The right to use the resource, until it is dropped.
#[derive(Debug)]
pub struct FairPermit<K: Copy + Eq + Hash> {
    semaphore: FairSemaphore<K>,
    key: K,
}

/// A waiting request, which leaves its queue when it is dropped.
struct Queued<'a, K: Copy + Eq + Hash> {
    semaphore: &'a FairSemaphore<K>,
    key: K,
    rank: Rank,
}

impl<K: Copy + Eq + Hash> FairSemaphore<K> {
    /// A semaphore with `permits`, for which at most `max_waiting` requests wait.
    pub fn new(permits: usize, max_waiting: usize) -> Self {
        let (shares, reserve) = (HashMap::new(), Reserve::default());
        let state =
            State { free: permits, reserve, shares, waiting: 0, max_waiting, next_number: 1 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The same, with `permits` more for keys that hold fewer than `per_key`.
    ///
    /// For permits that are held for long: such a key does not wait for the permits of others.
    #[must_use]
    pub fn with_reserve(self, permits: usize, per_key: usize) -> Self {
        let mut state = self.0.lock();
        state.free += permits;
        state.reserve = Reserve { permits, per_key };
        drop(state);
        self
    }

    /// A permit for `key`, if one is free.
    pub fn try_acquire(&self, key: K) -> Option<FairPermit<K>> {
        self.take(&mut self.0.lock(), key)
    }

    fn take(&self, state: &mut State<K>, key: K) -> Option<FairPermit<K>> {
        let held = state.shares.get(&key).map_or(0, |share| share.held);
        state.can_grant(held).then(|| self.grant(state, key))
    }

    /// Waits for a permit for `key`, for at most `max_wait`.
    ///
    /// Among the requests of a key, the lowest `request` goes first. Requests with the same number
    /// go in the order of their arrival.
    ///
    /// # Errors [`Error::Unavailable`] when the wait is over, or when too many requests wait and
    /// `key` has as many of them as any other.
    pub async fn acquire(
        &self,
        key: K,
        request: u64,
        max_wait: Duration,
    ) -> Result<FairPermit<K>, Error> {
        let (granted, rank) = {
            let mut state = self.0.lock();
            // Under the same lock as the queue: a permit that is released after a separate attempt
            // would be free while this request waits.
            if let Some(permit) = self.take(&mut state, key) {
                return Ok(permit);
            }
            if state.waiting >= state.max_waiting && !state.shorten_longest_queue(key) {
                return Err(Error::Unavailable);
            }
            let (grant, granted) = oneshot::channel();
            (granted, state.enqueue(key, request, grant))
        };
        let _queued = Queued { semaphore: self, key, rank };
        let granted = timeout(max_wait, granted).await;
        granted.ok().and_then(Result::ok).ok_or(Error::Unavailable)
    }

    /// Number of requests that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// Number of permits in use.
    pub fn in_use(&self) -> usize {
        self.0.lock().in_use()
    }

    /// Whether `key` holds at least as many permits as the average key.
    pub fn has_share(&self, key: K) -> bool {
        let state = self.0.lock();
        let held = state.shares.get(&key).map_or(0, |share| share.held);
        held * state.shares.len() >= state.in_use()
    }

    fn grant(&self, state: &mut State<K>, key: K) -> FairPermit<K> {
        let number = state.number();
        let share = state.shares.entry(key).or_insert_with(|| Share::new(number));
        state.free -= 1;
        share.held += 1;
        share.last_granted = number;
        FairPermit { semaphore: self.clone(), key }
    }

    /// Takes a permit back, and hands it to the waiting key that holds the fewest.
    fn release(&self, key: K) {
        let mut state = self.0.lock();
        if let Some(share) = state.shares.get_mut(&key) {
            share.held -= 1;
        }
        state.free += 1;
        let next = state.dequeue();
        state.evict_idle(key);
        let Some((key, grant)) = next else { return };
        let permit = self.grant(&mut state, key);
        drop(state);
        // If the request has gone meanwhile, the permit is dropped here and released again.
        let _ = grant.send(permit);
    }
}

impl<K: Copy + Eq + Hash> Share<K> {
    fn new(number: u64) -> Self {
        Self { held: 0, last_granted: number, queue: BTreeMap::new() }
    }
}

impl<K: Copy + Eq + Hash> State<K> {
    /// Whether a permit is free for a key that holds `held`.
    fn can_grant(&self, held: usize) -> bool {
        let kept = if held < self.reserve.per_key { 0 } else { self.reserve.permits };
        self.free > kept
    }

    fn in_use(&self) -> usize {
        self.shares.values().map(|share| share.held).sum()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn enqueue(&mut self, key: K, request: u64, grant: oneshot::Sender<FairPermit<K>>) -> Rank {
        let number = self.number();
        self.waiting += 1;
        let share = self.shares.entry(key).or_insert_with(|| Share::new(number));
        share.queue.insert((request, number), grant);
        (request, number)
    }

    /// The first request of the waiting key that holds the fewest permits.
    ///
    /// Among these it is the key whose last permit is oldest. `None` if no permit is free for it.
    fn dequeue(&mut self) -> Option<(K, oneshot::Sender<FairPermit<K>>)> {
        let waiting = self.shares.iter().filter(|(_, share)| !share.queue.is_empty());
        let (key, share) = waiting.min_by_key(|(_, share)| (share.held, share.last_granted))?;
        if !self.can_grant(share.held) {
            return None;
        }
        let (key, rank) = (*key, *share.queue.first_key_value()?.0);
        Some((key, self.remove(key, rank)?))
    }

    /// Removes the newest request of the longest queue, which receives an error.
    ///
    /// Returns `false` if the queue of `key` would then be as long as that one.
    fn shorten_longest_queue(&mut self, key: K) -> bool {
        let own = self.shares.get(&key).map_or(0, |share| share.queue.len());
        let longest = self.shares.iter().max_by_key(|(_, share)| share.queue.len());
        let longer = longest.filter(|(_, share)| share.queue.len() > own + 1);
        let newest = longer.and_then(|(key, share)| Some((*key, *share.queue.last_key_value()?.0)));
        newest.and_then(|(key, rank)| self.remove(key, rank)).is_some()
    }

    fn remove(&mut self, key: K, rank: Rank) -> Option<oneshot::Sender<FairPermit<K>>> {
        let grant = self.shares.get_mut(&key)?.queue.remove(&rank)?;
        self.waiting -= 1;
        self.evict_idle(key);
        Some(grant)
    }

    fn evict_idle(&mut self, key: K) {
        let is_idle = |share: &Share<K>| share.held == 0 && share.queue.is_empty();
        if self.shares.get(&key).is_some_and(is_idle) {
            self.shares.remove(&key);
        }
    }
}

impl<K: Copy + Eq + Hash> Clone for FairSemaphore<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Copy + Eq + Hash> Drop for FairPermit<K> {
    fn drop(&mut self) {
        self.semaphore.release(self.key);
    }
}

impl<K: Copy + Eq + Hash> Drop for Queued<'_, K> {
    fn drop(&mut self) {
        self.semaphore.0.lock().remove(self.key, self.rank);
    }
}

#[cfg(test)]
mod tests;
