//! Limits concurrent requests, fairly among client networks.
//!
//! While permits are free, one client network may use all of them. Otherwise requests queue, and
//! the next permit goes to the network that holds the fewest ([`FairSemaphore`]). A request may
//! hold its permit for seconds, so networks that hold few have a reserve of a quarter more.
//!
//! A network is over its share if its requests have been queueing for longer than [`INTERVAL`]
//! without a pause, and it holds at least as many permits as the average network. Its queue timeout
//! then drops from [`INTERVAL`] to [`OVERLOADED_QUEUE_TIMEOUT`]: a long queue would delay every
//! client and serve clients that have given up. This is the variant of CoDel ("controlled delay")
//! described in Ben Maurer, "Fail at Scale", ACM Queue 13(8), 2015. Written by hand because tower's
//! `ConcurrencyLimit` and `LoadShed` know neither CoDel nor limits per key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::client_network::ClientNetwork;
use super::fair::{FairPermit, FairSemaphore};
use super::keyed::{Keyed, KeyedEntry};
use crate::error::Error;

/// Time of continuous queueing after which a client network is over its share.
///
/// It is also the longest wait.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait of a client network that is over its share.
const OVERLOADED_QUEUE_TIMEOUT: Duration = Duration::from_millis(50);
/// Number of permits that a network can take from the reserve.
///
/// A browser executes at most six requests at a time on a connection of HTTP/1.1.
const RESERVED_PER_NETWORK: usize = 6;
/// Number of permits for each permit of the reserve.
const PERMITS_PER_RESERVED: usize = 4;

/// The limiter. Clones share its permits.
#[derive(Clone)]
pub struct ConcurrencyLimiter(Arc<Inner>);

struct Inner {
    permits: FairSemaphore<ClientNetwork>,
    /// The queueing of each client network that has a request.
    queues: Keyed<ClientNetwork, Mutex<QueueState>>,
    rejected: AtomicU64,
}

/// The current period of queueing: waits that begin at most [`INTERVAL`] apart.
///
/// The period also ends when the network has no request left.
#[derive(Clone, Copy)]
struct QueueState {
    first_wait: Instant,
    last_wait: Instant,
}

/// The right to execute a request, until it is dropped.
pub struct RequestPermit {
    _permit: FairPermit<ClientNetwork>,
    _queue: KeyedEntry<ClientNetwork, Mutex<QueueState>>,
}

impl ConcurrencyLimiter {
    /// A limiter for `limit` concurrent requests, and the reserve.
    pub fn new(limit: usize) -> Self {
        // The number of connections bounds the number of waiting requests.
        let permits = FairSemaphore::new(limit, usize::MAX)
            .with_reserve(limit / PERMITS_PER_RESERVED, RESERVED_PER_NETWORK);
        Self(Arc::new(Inner { permits, queues: Keyed::default(), rejected: 0.into() }))
    }

    /// Waits for a permit, at most for the queue timeout.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the queue timeout passes first.
    pub async fn acquire(&self, network: ClientNetwork) -> Result<RequestPermit, Error> {
        let queue = self.0.queues.entry(network, || Mutex::new(QueueState::new()));
        let permit = if let Some(permit) = self.0.permits.try_acquire(network) {
            Ok(permit)
        } else {
            let max_wait = queue.lock().queue_timeout(self.0.permits.has_share(network));
            self.0.permits.acquire(network, 0, max_wait).await
        };
        let permit = permit.inspect_err(|_| {
            self.0.rejected.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(RequestPermit { _permit: permit, _queue: queue })
    }

    /// Number of permits in use.
    pub fn in_flight(&self) -> usize {
        self.0.permits.in_use()
    }

    /// Number of requests rejected since the start.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.load(Ordering::Relaxed)
    }
}

impl QueueState {
    fn new() -> Self {
        let now = Instant::now();
        Self { first_wait: now, last_wait: now }
    }

    /// Records a wait and returns how long it may take.
    ///
    /// `has_share` is whether the network holds as many permits as the average.
    fn queue_timeout(&mut self, has_share: bool) -> Duration {
        let now = Instant::now();
        if now.duration_since(self.last_wait) > INTERVAL {
            self.first_wait = now;
        }
        self.last_wait = now;
        if !has_share {
            self.first_wait = now;
        }
        let queueing = now.duration_since(self.first_wait);
        INTERVAL.saturating_sub(queueing).max(OVERLOADED_QUEUE_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn network(text: &str) -> ClientNetwork {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn overload(limiter: &ConcurrencyLimiter, network: ClientNetwork) {
        let queue = limiter.0.queues.entry(network, || panic!("the network has no request"));
        queue.lock().first_wait -= INTERVAL;
    }

    #[tokio::test(start_paused = true)]
    async fn burst_queues_then_sustained_overload_is_rejected() {
        let (limiter, here) = (ConcurrencyLimiter::new(2), network("192.0.2.1"));
        let one = limiter.acquire(here).await.unwrap();
        let two = limiter.acquire(here).await.expect("one network may use all permits");
        let queued = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire(here).await }
        });
        tokio::time::sleep(2 * OVERLOADED_QUEUE_TIMEOUT).await;
        drop(one);
        let three = queued.await.unwrap().expect("a burst waits for up to a second");
        overload(&limiter, here);
        let start = tokio::time::Instant::now();
        assert!(limiter.acquire(here).await.is_err() && start.elapsed() < INTERVAL / 2);
        assert_eq!(limiter.rejected(), 1);
        let elsewhere = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire(network("192.0.2.2")).await }
        });
        tokio::time::sleep(2 * OVERLOADED_QUEUE_TIMEOUT).await;
        drop(two);
        let elsewhere = elsewhere.await.unwrap();
        assert!(elsewhere.is_ok(), "another network waits longer, and gets the next permit");
        assert_eq!((limiter.in_flight(), limiter.0.queues.len()), (2, 2));
        drop((three, elsewhere));
        assert!(limiter.acquire(here).await.is_ok());
        assert_eq!((limiter.in_flight(), limiter.0.queues.len()), (0, 0));
    }

    /// A load slightly over the limit: each request waits a moment, then is executed.
    #[tokio::test(start_paused = true)]
    async fn steady_load_slightly_over_the_limit_is_not_rejected() {
        let (limiter, here) = (ConcurrencyLimiter::new(4), network("192.0.2.1"));
        let first = limiter.acquire(here).await.unwrap();
        overload(&limiter, here);
        let client = || {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let permit = limiter.acquire(here).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    drop(permit?);
                }
                Ok::<(), Error>(())
            })
        };
        let clients: Vec<_> = (0..6).map(|_| client()).collect();
        drop(first);
        for client in clients {
            assert!(client.await.unwrap().is_ok());
        }
    }
}
