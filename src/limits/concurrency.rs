//! Limits concurrent requests, in total and per client network.
//!
//! Requests over a limit queue. If requests have been queueing for longer than [`INTERVAL`] without
//! a pause, the server is overloaded, and the queue timeout drops from [`INTERVAL`] to
//! [`OVERLOADED_QUEUE_TIMEOUT`]: a long queue would delay every client and serve clients that have
//! given up. This is the variant of CoDel ("controlled delay") described in Ben Maurer, "Fail at
//! Scale", ACM Queue 13(8), 2015. Written by hand because tower's `ConcurrencyLimit` and `LoadShed`
//! know neither CoDel nor limits per key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::client_network::ClientNetwork;
use super::keyed::{Keyed, KeyedEntry};
use crate::error::Error;

/// Time of continuous queueing after which the server is overloaded.
///
/// It is also the longest wait.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait while the server is overloaded.
const OVERLOADED_QUEUE_TIMEOUT: Duration = Duration::from_millis(50);

/// The limiter. Clones share its permits.
#[derive(Clone)]
pub struct ConcurrencyLimiter(Arc<Inner>);

struct Inner {
    total: Slots,
    /// The slots of each client network: half of the permits, rounded up.
    ///
    /// So no network can take all permits if there are at least two.
    networks: Keyed<ClientNetwork, Slots>,
    rejected: AtomicU64,
}

struct Slots {
    permits: Arc<Semaphore>,
    limit: usize,
    queue: Mutex<QueueState>,
}

/// The current period of queueing: waits that begin at most [`INTERVAL`] apart.
///
/// The period of a client network also ends when the network has no request left.
#[derive(Clone, Copy)]
struct QueueState {
    first_wait: Instant,
    last_wait: Instant,
}

/// The right to execute a request, until it is dropped.
pub struct RequestPermit {
    _network_permit: OwnedSemaphorePermit,
    _total_permit: OwnedSemaphorePermit,
    _network: KeyedEntry<ClientNetwork, Slots>,
}

impl ConcurrencyLimiter {
    /// A limiter for `limit` concurrent requests.
    ///
    /// One client network gets at most half of the permits, rounded up.
    pub fn new(limit: usize) -> Self {
        let total = Slots::new(limit);
        Self(Arc::new(Inner { total, networks: Keyed::default(), rejected: 0.into() }))
    }

    /// Waits for a permit, at most for the queue timeout.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the queue timeout passes first.
    pub async fn acquire(&self, network: ClientNetwork) -> Result<RequestPermit, Error> {
        let half = self.0.total.limit.div_ceil(2);
        let slots = self.0.networks.entry(network, || Slots::new(half));
        let permits = async { Some((slots.acquire().await?, self.0.total.acquire().await?)) };
        // The two waits together take no longer than one may.
        let permits = timeout(INTERVAL, permits).await.ok().flatten();
        let Some((network_permit, total_permit)) = permits else {
            self.0.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(Error::Unavailable);
        };
        Ok(RequestPermit {
            _network_permit: network_permit,
            _total_permit: total_permit,
            _network: slots,
        })
    }

    /// Number of permits in use.
    pub fn in_flight(&self) -> usize {
        self.0.total.limit - self.0.total.permits.available_permits()
    }

    /// Number of requests rejected since the start.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.load(Ordering::Relaxed)
    }
}

impl Slots {
    fn new(limit: usize) -> Self {
        let now = Instant::now();
        let queue = Mutex::new(QueueState { first_wait: now, last_wait: now });
        Self { permits: Arc::new(Semaphore::new(limit)), limit, queue }
    }

    async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(permit);
        }
        let permit = Arc::clone(&self.permits).acquire_owned();
        timeout(self.queue_timeout(), permit).await.ok()?.ok()
    }

    /// Records a wait and returns how long it may take.
    fn queue_timeout(&self) -> Duration {
        let now = Instant::now();
        let mut queue = self.queue.lock();
        if now.duration_since(queue.last_wait) > INTERVAL {
            queue.first_wait = now;
        }
        queue.last_wait = now;
        let queueing = now.duration_since(queue.first_wait);
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
        let slots = limiter.0.networks.entry(network, || panic!("the network has no request"));
        slots.queue.lock().first_wait -= INTERVAL;
    }

    #[tokio::test(start_paused = true)]
    async fn burst_queues_then_sustained_overload_is_rejected() {
        let (limiter, here) = (ConcurrencyLimiter::new(4), network("192.0.2.1"));
        let one = limiter.acquire(here).await.unwrap();
        let two = limiter.acquire(here).await.unwrap();
        let queued = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire(here).await }
        });
        tokio::time::sleep(2 * OVERLOADED_QUEUE_TIMEOUT).await;
        drop(one);
        let three = queued.await.unwrap().expect("a burst waits for up to a second");
        overload(&limiter, here);
        let start = Instant::now();
        assert!(limiter.acquire(here).await.is_err() && start.elapsed() < INTERVAL / 2);
        assert_eq!(limiter.rejected(), 1);
        let elsewhere = limiter.acquire(network("192.0.2.2")).await;
        assert!(elsewhere.is_ok(), "another network still gets a permit");
        assert_eq!((limiter.in_flight(), limiter.0.networks.len()), (3, 2));
        drop((two, three, elsewhere));
        assert!(limiter.acquire(here).await.is_ok());
        assert_eq!((limiter.in_flight(), limiter.0.networks.len()), (0, 0));
    }

    /// A load slightly over the limit: each request waits a moment, then is executed.
    #[tokio::test(start_paused = true)]
    async fn steady_load_slightly_over_the_limit_is_not_rejected() {
        let (limiter, here) = (ConcurrencyLimiter::new(8), network("192.0.2.1"));
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
