//! Fair permits for a scarce resource, such as the connections of the database.
//!
//! While permits are free, each key gets as many as it requests. When none is free, the next one
//! goes to the waiting key that holds the fewest, and among those to the one whose last permit is
//! oldest, so that keys take turns for a single permit. When too many requests wait, a further one
//! takes the place of the newest of the key with the most. A client network that sends many
//! requests therefore delays and loses its own requests first. This is max-min fairness; no permit
//! is idle while a request waits. Written by hand because tokio's `Semaphore` is first come, first
//! served, and tower has no fair queueing.

use std::collections::{HashMap, VecDeque};
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
    /// The keys that hold a permit or wait for one.
    shares: HashMap<K, Share<K>>,
    waiting: usize,
    max_waiting: usize,
    /// Number of requests and permits so far, which orders them.
    next_number: u64,
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
    /// Waiting requests, in the order of their arrival.
    queue: VecDeque<Waiter<K>>,
}

#[derive(Debug)]
struct Waiter<K: Copy + Eq + Hash> {
    number: u64,
    grant: oneshot::Sender<FairPermit<K>>,
}

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
    number: u64,
}

impl<K: Copy + Eq + Hash> FairSemaphore<K> {
    /// A semaphore with `permits`, for which at most `max_waiting` requests wait.
    pub fn new(permits: usize, max_waiting: usize) -> Self {
        let shares = HashMap::new();
        let state = State { free: permits, shares, waiting: 0, max_waiting, next_number: 1 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A permit for `key`, if one is free.
    pub fn try_acquire(&self, key: K) -> Option<FairPermit<K>> {
        self.take(&mut self.0.lock(), key)
    }

    fn take(&self, state: &mut State<K>, key: K) -> Option<FairPermit<K>> {
        state.free = state.free.checked_sub(1)?;
        Some(self.grant(state, key))
    }

    /// Waits for a permit for `key`, for at most `max_wait`.
    ///
    /// # Errors [`Error::Unavailable`] when the wait is over, or when too many requests wait and
    /// `key` has as many of them as any other.
    pub async fn acquire(&self, key: K, max_wait: Duration) -> Result<FairPermit<K>, Error> {
        let (granted, number) = {
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
            (granted, state.enqueue(key, grant))
        };
        let _queued = Queued { semaphore: self, key, number };
        let granted = timeout(max_wait, granted).await;
        granted.ok().and_then(Result::ok).ok_or(Error::Unavailable)
    }

    /// Number of requests that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// Number of permits in use.
    pub fn in_use(&self) -> usize {
        self.0.lock().shares.values().map(|share| share.held).sum()
    }

    fn grant(&self, state: &mut State<K>, key: K) -> FairPermit<K> {
        let number = state.number();
        let share = state.shares.entry(key).or_insert_with(|| Share::new(number));
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
        let next = state.dequeue();
        state.evict_idle(key);
        let Some((key, Waiter { grant, .. })) = next else {
            state.free += 1;
            return;
        };
        let permit = self.grant(&mut state, key);
        drop(state);
        // If the request has gone meanwhile, the permit is dropped here and released again.
        let _ = grant.send(permit);
    }
}

impl<K: Copy + Eq + Hash> Share<K> {
    fn new(number: u64) -> Self {
        Self { held: 0, last_granted: number, queue: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash> State<K> {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn enqueue(&mut self, key: K, grant: oneshot::Sender<FairPermit<K>>) -> u64 {
        let number = self.number();
        self.waiting += 1;
        let share = self.shares.entry(key).or_insert_with(|| Share::new(number));
        share.queue.push_back(Waiter { number, grant });
        number
    }

    /// The first request of the waiting key that holds the fewest permits.
    ///
    /// Among these it is the key whose last permit is oldest.
    fn dequeue(&mut self) -> Option<(K, Waiter<K>)> {
        let waiting = self.shares.iter().filter(|(_, share)| !share.queue.is_empty());
        let (key, _) = waiting.min_by_key(|(_, share)| (share.held, share.last_granted))?;
        let key = *key;
        Some((key, self.remove(key, 0)?))
    }

    /// Removes the newest request of the longest queue, which receives an error.
    ///
    /// Returns `false` if the queue of `key` would then be as long as that one.
    fn shorten_longest_queue(&mut self, key: K) -> bool {
        let own = self.shares.get(&key).map_or(0, |share| share.queue.len());
        let lengths = self.shares.iter().map(|(key, share)| (*key, share.queue.len()));
        match lengths.max_by_key(|(_, length)| *length) {
            Some((longest, length)) if length > own + 1 => {
                self.remove(longest, length - 1);
                true
            }
            _ => false,
        }
    }

    fn remove(&mut self, key: K, index: usize) -> Option<Waiter<K>> {
        let waiter = self.shares.get_mut(&key)?.queue.remove(index)?;
        self.waiting -= 1;
        self.evict_idle(key);
        Some(waiter)
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
        let mut state = self.semaphore.0.lock();
        let share = state.shares.get(&self.key);
        let index =
            share.map(|share| share.queue.binary_search_by_key(&self.number, |it| it.number));
        if let Some(Ok(index)) = index {
            state.remove(self.key, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn one_key_may_hold_all_permits_and_another_gets_the_next() {
        let semaphore = FairSemaphore::new(3, 100);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(semaphore.acquire("a", LONG).await.unwrap());
        }
        let mut first = Box::pin(semaphore.acquire("a", LONG));
        let mut second = Box::pin(semaphore.acquire("b", LONG));
        let mut third = Box::pin(semaphore.acquire("b", LONG));
        for waiting in [&mut first, &mut second, &mut third] {
            assert!(waiting.now_or_never().is_none());
        }
        assert_eq!((semaphore.in_use(), semaphore.waiting()), (3, 3));
        held.pop();
        let b = (&mut second).now_or_never().expect("b holds none, and a holds two").unwrap();
        assert!((&mut first).now_or_never().is_none());
        held.pop();
        let a = (&mut first).now_or_never().expect("both hold one, and b had the last").unwrap();
        drop((held, a, b));
        drop(third.now_or_never().expect("permits are free").unwrap());
        assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
        assert!(semaphore.0.lock().shares.is_empty());
    }

    #[tokio::test]
    async fn keys_take_turns_for_a_single_permit() {
        let semaphore = FairSemaphore::new(1, 100);
        let mut held = Some(semaphore.acquire("a", LONG).await.unwrap());
        let queue = |key| Box::pin(semaphore.acquire(key, LONG));
        let mut waiting: Vec<_> =
            ["a", "a", "a", "b", "b", "c"].into_iter().map(|key| (key, queue(key))).collect();
        for (_, request) in &mut waiting {
            assert!(request.now_or_never().is_none());
        }
        let mut order = String::new();
        while held.take().is_some() {
            let granted = waiting.iter_mut().enumerate().find_map(|(index, (key, request))| {
                Some((index, *key, request.now_or_never()?.unwrap()))
            });
            held = granted.map(|(index, key, permit)| {
                drop(waiting.remove(index));
                order += key;
                permit
            });
        }
        assert_eq!(order, "abcaba");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gives_up_leaves_the_queue() {
        let semaphore = FairSemaphore::new(1, 2);
        let held = semaphore.acquire("a", LONG).await.unwrap();
        let late = semaphore.acquire("b", Duration::from_secs(1)).await;
        assert!(matches!(late, Err(Error::Unavailable)));
        let mut dropped = Box::pin(semaphore.acquire("b", LONG));
        assert!((&mut dropped).now_or_never().is_none());
        let mut waiting = Box::pin(semaphore.acquire("b", LONG));
        assert!((&mut waiting).now_or_never().is_none());
        let full = semaphore.acquire("b", LONG).now_or_never();
        assert!(matches!(full, Some(Err(Error::Unavailable))), "two requests wait");
        drop(dropped);
        drop(held);
        drop(waiting.now_or_never().expect("the permit is not lost").unwrap());
        assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_newest_request_of_the_longest() {
        let semaphore = FairSemaphore::new(1, 4);
        let held = semaphore.acquire("a", LONG).await.unwrap();
        let mut many: Vec<_> = (0..4).map(|_| Box::pin(semaphore.acquire("a", LONG))).collect();
        assert!(many.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut other = Box::pin(semaphore.acquire("b", LONG));
        assert!((&mut other).now_or_never().is_none(), "it waits");
        let ended = many.pop().unwrap().now_or_never();
        assert!(matches!(ended, Some(Err(Error::Unavailable))), "the newest has lost its place");
        let mut next = Box::pin(semaphore.acquire("b", LONG));
        assert!((&mut next).now_or_never().is_none(), "two of each wait");
        let further = semaphore.acquire("b", LONG).now_or_never();
        assert!(matches!(further, Some(Err(Error::Unavailable))), "no queue is longer");
        drop(held);
        let first = many.remove(0).now_or_never();
        assert!((&mut other).now_or_never().is_none(), "the last permit of a is older");
        drop(first.expect("a is next"));
        assert!(other.now_or_never().is_some(), "and then b");
    }

    /// A key with a queue is not overtaken by keys that come back again and again.
    #[tokio::test]
    async fn a_waiting_key_is_served_between_keys_that_return() {
        let semaphore = FairSemaphore::new(1, 100);
        let mut held = semaphore.acquire("a", LONG).await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(semaphore.acquire("b", LONG))).collect();
        assert!(waiting.iter_mut().all(|request| request.now_or_never().is_none()));
        let mut rounds = 0;
        while !waiting.is_empty() {
            let mut next = Box::pin(semaphore.acquire(["a", "c"][rounds % 2], LONG));
            assert!((&mut next).now_or_never().is_none());
            drop(held);
            if let Some(permit) = (&mut waiting[0]).now_or_never() {
                drop(permit.unwrap());
                drop(waiting.remove(0));
            }
            held = next.now_or_never().expect("it follows").unwrap();
            rounds += 1;
            assert!(rounds <= 6, "{} requests of b still wait", waiting.len());
        }
    }

    /// Each request gets its permit as soon as another is released.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_request_waits_while_a_permit_is_free() {
        let semaphore = FairSemaphore::new(1, 1_000);
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                let semaphore = semaphore.clone();
                tokio::spawn(async move {
                    for _ in 0..20_000 {
                        drop(semaphore.acquire(task % 2, LONG).await.unwrap());
                    }
                })
            })
            .collect();
        for task in tasks {
            timeout(LONG / 2, task).await.expect("a request sleeps").unwrap();
        }
    }

    /// Each permit is either free or held, whatever is cancelled.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_permit_is_lost_when_requests_are_cancelled_at_random() {
        let semaphore = FairSemaphore::new(4, 1_000);
        let tasks: Vec<_> = (0..40u64)
            .map(|task| {
                let semaphore = semaphore.clone();
                tokio::spawn(async move {
                    for n in 0..200 {
                        let max_wait = Duration::from_micros((task * 7 + n * 13) % 300);
                        let permit = semaphore.acquire(task % 3, max_wait).await;
                        tokio::task::yield_now().await;
                        drop(permit);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
        assert_eq!(semaphore.0.lock().free, 4);
    }
}
