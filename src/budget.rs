//! Bytes of text that all answers together may have: from when they are made until they are sent, for those who read
//! slowly keep theirs in memory. An answer with little text takes none of it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// Answers with less are not counted; all others by so much.
const CHUNK: usize = 64 * 1024;

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Budget {
    chunks: Arc<Semaphore>,
    all: usize,
    /// Bytes that one answer may have.
    most: usize,
}

/// What one answer has taken.
#[derive(Debug)]
pub struct Spent {
    budget: Budget,
    bytes: usize,
    share: Option<Share>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub struct Share(OwnedSemaphorePermit);

impl Share {
    /// Of two answers that are sent as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.merge(other.0);
        self
    }
}

impl Budget {
    /// So many bytes for one answer, and so many for all.
    #[must_use]
    pub fn new(most: usize, for_all: usize) -> Self {
        let all = for_all.div_ceil(CHUNK).min(Semaphore::MAX_PERMITS);
        Self { chunks: Arc::new(Semaphore::new(all)), all, most }
    }

    /// For another answer.
    #[must_use]
    pub fn begin(&self) -> Spent {
        Spent { budget: self.clone(), bytes: 0, share: None }
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        (self.all - self.chunks.available_permits()) * CHUNK
    }
}

impl Spent {
    /// # Errors
    /// `QUERY_TOO_COMPLEX` when that is more than one answer may have, `UNAVAILABLE` when others have too much.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        let after = self.bytes.saturating_add(bytes);
        if after > self.budget.most {
            return Err(Error::AnswerTooLarge);
        }
        let chunks = u32::try_from(after / CHUNK - self.bytes / CHUNK).unwrap_or(u32::MAX);
        if chunks > 0 {
            let more = Arc::clone(&self.budget.chunks).try_acquire_many_owned(chunks);
            let more = Share(more.map_err(|_| Error::Unavailable)?);
            self.share = Some(match self.share.take() {
                Some(share) => share.and(more),
                None => more,
            });
        }
        self.bytes = after;
        Ok(())
    }

    /// The answer is made, and keeps its share until it is sent. What follows is another.
    pub fn end(&mut self) -> Option<Share> {
        self.bytes = 0;
        self.share.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_when_it_is_sent() {
        let budget = Budget::new(3 * CHUNK, 4 * CHUNK);
        let (mut one, mut other) = (budget.begin(), budget.begin());
        assert!(one.spend(CHUNK - 1).is_ok());
        assert_eq!(budget.taken(), 0, "little is not counted");
        assert!(one.spend(1).is_ok() && one.spend(2 * CHUNK).is_ok());
        assert!(matches!(one.spend(1), Err(Error::AnswerTooLarge)));
        assert_eq!(budget.taken(), 3 * CHUNK);
        assert!(other.spend(CHUNK).is_ok());
        assert!(matches!(other.spend(CHUNK), Err(Error::Unavailable)));
        let sent = one.end();
        assert!(one.spend(CHUNK / 2).is_ok(), "the next answer begins anew");
        drop(one);
        assert_eq!(budget.taken(), 4 * CHUNK, "until it is sent, its text is there");
        drop(sent);
        assert!(other.spend(CHUNK).is_ok());
        drop(other);
        assert_eq!(budget.taken(), 0);
    }
}
