//! How many requests are worked on at a time. Beyond that, they are turned away at once: who waits in a long queue
//! is answered when nobody waits for the answer any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::Error;

/// Many that come together, and are done in a moment, are let in one after the other.
const MOMENT: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    most: usize,
}

impl Room {
    pub fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// # Errors
    /// `UNAVAILABLE` when there is none.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = timeout(MOMENT, Arc::clone(&self.places).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or(Error::Unavailable)
    }

    /// How many are worked on.
    pub fn taken(&self) -> usize {
        self.most - self.places.available_permits()
    }
}
