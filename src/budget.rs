//! Bytes that all answers together may have: from when they are made until they are sent, for those who read slowly
//! keep theirs in memory. A small answer takes none of it, and no network takes more than half.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Network;
use crate::error::Error;

/// Answers with less are not counted; all others by so much.
const CHUNK: usize = 64 * 1024;

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chunks: Arc<Semaphore>,
    all: usize,
    networks: Mutex<HashMap<Network, Arc<Semaphore>>>,
    /// Bytes of text that one answer may have.
    most: usize,
}

/// What one answer has taken.
#[derive(Debug)]
pub struct Spent {
    budget: Budget,
    network: Network,
    /// Of text.
    bytes: usize,
    chunks: usize,
    share: Option<Share>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

impl Share {
    /// Of two answers that are sent as one to the same client.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.own.merge(other.own);
        self.all.merge(other.all);
        self
    }
}

impl Budget {
    /// So many bytes of text for one answer, and so many bytes for all.
    #[must_use]
    pub fn new(most: usize, for_all: usize) -> Self {
        let all = for_all.div_ceil(CHUNK).min(Semaphore::MAX_PERMITS);
        let chunks = Arc::new(Semaphore::new(all));
        Self(Arc::new(Inner { chunks, all, networks: Mutex::default(), most }))
    }

    /// For another answer.
    #[must_use]
    pub fn begin(&self, network: Network) -> Spent {
        Spent { budget: self.clone(), network, bytes: 0, chunks: 0, share: None }
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        (self.0.all - self.0.chunks.available_permits()) * CHUNK
    }

    /// Forgets networks that have taken nothing.
    pub fn forget(&self) {
        let half = self.half();
        self.networks().retain(|_, own| own.available_permits() < half);
    }

    fn take(&self, network: Network, chunks: usize) -> Option<Share> {
        let chunks = u32::try_from(chunks).ok()?;
        let new = || Arc::new(Semaphore::new(self.half()));
        let own = Arc::clone(self.networks().entry(network).or_insert_with(new));
        let own = own.try_acquire_many_owned(chunks).ok()?;
        let all = Arc::clone(&self.0.chunks).try_acquire_many_owned(chunks).ok()?;
        Some(Share { own, all })
    }

    fn half(&self) -> usize {
        self.0.all.div_ceil(2)
    }

    fn networks(&self) -> MutexGuard<'_, HashMap<Network, Arc<Semaphore>>> {
        self.0.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// A text that goes into the answer.
    ///
    /// # Errors
    /// `QUERY_TOO_COMPLEX` when that is more than one answer may have, `UNAVAILABLE` when all have too much.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        let after = self.bytes.saturating_add(bytes);
        if after > self.budget.0.most {
            return Err(Error::AnswerTooLarge);
        }
        self.hold(after)?;
        self.bytes = after;
        Ok(())
    }

    /// The answer is made, of so many bytes, and keeps its share until it is sent. What follows is another.
    ///
    /// # Errors
    /// `UNAVAILABLE` when all have too much.
    pub fn end(&mut self, bytes: usize) -> Result<Option<Share>, Error> {
        let held = self.hold(bytes);
        (self.bytes, self.chunks) = (0, 0);
        let share = self.share.take();
        held.map(|()| share)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        let more = (bytes / CHUNK).saturating_sub(self.chunks);
        if more > 0 {
            let share = self.budget.take(self.network, more).ok_or(Error::Unavailable)?;
            self.chunks += more;
            self.share = self.share.take().into_iter().chain([share]).reduce(Share::and);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn what_is_taken_comes_back_when_it_is_sent() {
        let budget = Budget::new(3 * CHUNK, 8 * CHUNK);
        let here = network("192.0.2.1");
        let (mut one, mut other) = (budget.begin(here), budget.begin(here));
        assert!(one.spend(CHUNK - 1).is_ok());
        assert_eq!(budget.taken(), 0, "little is not counted");
        assert!(one.spend(1).is_ok() && one.spend(2 * CHUNK).is_ok());
        assert!(matches!(one.spend(1), Err(Error::AnswerTooLarge)));
        assert_eq!(budget.taken(), 3 * CHUNK);
        assert!(other.spend(CHUNK).is_ok());
        assert!(matches!(other.spend(CHUNK), Err(Error::Unavailable)), "half is theirs");
        let mut elsewhere = budget.begin(network("192.0.2.2"));
        assert!(elsewhere.spend(CHUNK).is_ok(), "and half the others'");
        drop(elsewhere);
        let sent = one.end(3 * CHUNK + 1).unwrap();
        assert!(one.spend(CHUNK / 2).is_ok(), "the next answer begins anew");
        drop(one);
        assert_eq!(budget.taken(), 4 * CHUNK, "until it is sent, it is there");
        drop(sent);
        assert!(matches!(other.end(9 * CHUNK), Err(Error::Unavailable)), "more than texts");
        assert_eq!(budget.taken(), 0);
        budget.forget();
        assert!(budget.networks().is_empty());
    }
}
