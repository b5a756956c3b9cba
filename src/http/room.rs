//! How many requests are worked on at a time, of all and of each network. Many that come together wait for each other;
//! when more come than can be done, the next is turned away: a long queue would make everybody late, and answer those
//! who have gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::auth::Network;
use crate::error::Error;

/// For so long after somebody has to wait, it is a crowd, and not yet too much; and for so long nobody does when it is over.
const CROWD: Duration = Duration::from_secs(1);
/// So long may everybody wait.
const MOMENT: Duration = Duration::from_millis(50);

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Room(Arc<Inner>);

struct Inner {
    all: Places,
    /// So that nobody fills it alone, each network has half of it at most.
    networks: Mutex<HashMap<Network, Arc<Places>>>,
    turned_away: AtomicU64,
}

struct Places {
    free: Arc<Semaphore>,
    most: usize,
    waiting: Mutex<Waiting>,
}

/// When somebody had to wait, first and last, with no calm between.
#[derive(Clone, Copy)]
struct Waiting {
    first: Instant,
    last: Instant,
}

/// A place among all, and among those of the network.
pub struct Entered {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Room {
    pub fn new(most: usize) -> Self {
        let (all, networks, turned_away) = (Places::new(most), Mutex::default(), 0.into());
        Self(Arc::new(Inner { all, networks, turned_away }))
    }

    /// # Errors
    /// `UNAVAILABLE` when there is none.
    pub async fn enter(&self, network: Network) -> Result<Entered, Error> {
        let half = self.0.all.most.div_ceil(2);
        let new = || Arc::new(Places::new(half));
        let own = Arc::clone(self.networks().entry(network).or_insert_with(new));
        let places =
            async { Some(Entered { _own: own.enter().await?, _all: self.0.all.enter().await? }) };
        // However one is to be waited for, and then the other.
        let places = timeout(CROWD, places).await.ok().flatten();
        places.ok_or_else(|| {
            self.0.turned_away.fetch_add(1, Ordering::Relaxed);
            Error::Unavailable
        })
    }

    /// How many are worked on.
    pub fn taken(&self) -> usize {
        self.0.all.taken()
    }

    /// How many were turned away since the start.
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// Forgets networks of which nobody is here.
    pub fn forget(&self) {
        self.networks().retain(|_, own| own.taken() > 0 || Arc::strong_count(own) > 1);
    }

    fn networks(&self) -> MutexGuard<'_, HashMap<Network, Arc<Places>>> {
        self.0.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn new(most: usize) -> Self {
        let now = Instant::now();
        let waiting = Mutex::new(Waiting { first: now, last: now });
        Self { free: Arc::new(Semaphore::new(most)), most, waiting }
    }

    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(place);
        }
        let place = Arc::clone(&self.free).acquire_owned();
        timeout(self.patience(), place).await.ok()?.ok()
    }

    /// Of somebody who has to wait.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(waiting.last) > CROWD {
            waiting.first = now;
        }
        waiting.last = now;
        CROWD.saturating_sub(now.duration_since(waiting.first)).max(MOMENT)
    }

    fn taken(&self) -> usize {
        self.most - self.free.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_waits_and_what_is_too_much_is_turned_away() {
        let (room, here) = (Room::new(4), network("192.0.2.1"));
        let (one, two) = (room.enter(here).await.unwrap(), room.enter(here).await.unwrap());
        let waiting = tokio::spawn({
            let room = room.clone();
            async move { room.enter(here).await }
        });
        tokio::time::sleep(2 * MOMENT).await;
        drop(one);
        let three = waiting.await.unwrap().expect("there was room a moment ago");
        room.networks()[&here].waiting.lock().unwrap().first -= CROWD;
        let start = Instant::now();
        assert!(room.enter(here).await.is_err() && start.elapsed() < CROWD / 2, "crowded for long");
        assert_eq!(room.turned_away(), 1);
        let there = room.enter(network("192.0.2.2")).await;
        assert!(there.is_ok(), "one network does not take it all");
        room.forget();
        assert_eq!((room.taken(), room.networks().len()), (3, 2));
        drop((two, three, there));
        assert!(room.enter(here).await.is_ok());
        room.forget();
        assert_eq!((room.taken(), room.networks().len()), (0, 0));
    }

    /// A little more than there is room for, for long: all wait for a moment, and all are done.
    #[tokio::test(start_paused = true)]
    async fn a_steady_load_is_not_turned_away() {
        let (room, here) = (Room::new(8), network("192.0.2.1"));
        room.enter(here).await.unwrap();
        room.networks()[&here].waiting.lock().unwrap().first -= CROWD;
        let client = || {
            let room = room.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let place = room.enter(here).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    drop(place?);
                }
                Ok::<(), Error>(())
            })
        };
        let clients: Vec<_> = (0..6).map(|_| client()).collect();
        for client in clients {
            assert!(client.await.unwrap().is_ok());
        }
    }
}
