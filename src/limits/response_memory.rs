//! Bounds the memory held by response bodies until they are written to the socket.
//!
//! Without it, clients that read slowly could make the server hold any number of large responses.
//! The documents and variables of subscriptions are counted too, for as long as they are held.
//! It is a semaphore with a permit for each byte. One client network gets at most half.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client_network::ClientNetwork;
use super::keyed::{Keyed, KeyedEntry};
use crate::error::Error;

/// The limit for all responses. Clones share it.
#[derive(Clone, Debug)]
pub struct ResponseMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: Arc<Semaphore>,
    total_bytes: usize,
    networks: Keyed<ClientNetwork, Semaphore>,
    max_text_bytes: usize,
}

/// What one response has reserved while it is being executed.
#[derive(Debug)]
pub struct ResponseReservation {
    memory: ResponseMemory,
    network: ClientNetwork,
    text_bytes: usize,
    /// Bytes that `permit` holds.
    reserved_bytes: usize,
    permit: Option<MemoryPermit>,
}

/// Reserved memory, released when it is dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    network_permit: OwnedSemaphorePermit,
    total_permit: OwnedSemaphorePermit,
    _network: KeyedEntry<ClientNetwork, Semaphore>,
}

impl MemoryPermit {
    /// The permits of two responses that are sent as one to the same client.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.network_permit.merge(other.network_permit);
        self.total_permit.merge(other.total_permit);
        self
    }
}

impl ResponseMemory {
    /// At most `max_text_bytes` of text in one response, and `total_bytes` in all.
    #[must_use]
    pub fn new(max_text_bytes: usize, total_bytes: usize) -> Self {
        let total_bytes = total_bytes.min(Semaphore::MAX_PERMITS);
        let bytes = Arc::new(Semaphore::new(total_bytes));
        let networks = Keyed::default();
        Self(Arc::new(Inner { bytes, total_bytes, networks, max_text_bytes }))
    }

    /// An empty reservation for a response to `network`.
    #[must_use]
    pub fn start(&self, network: ClientNetwork) -> ResponseReservation {
        ResponseReservation {
            memory: self.clone(),
            network,
            text_bytes: 0,
            reserved_bytes: 0,
            permit: None,
        }
    }

    /// Bytes that are reserved by all responses.
    #[must_use]
    pub fn bytes_in_use(&self) -> usize {
        self.0.total_bytes - self.0.bytes.available_permits()
    }

    /// A permit for `bytes` that are held for a client of `network`.
    pub fn try_acquire(&self, network: ClientNetwork, bytes: usize) -> Option<MemoryPermit> {
        let bytes = u32::try_from(bytes).ok()?;
        let per_network_limit = self.0.total_bytes.div_ceil(2);
        let network = self.0.networks.entry(network, || Semaphore::new(per_network_limit));
        let network_permit = Arc::clone(&network).try_acquire_many_owned(bytes).ok()?;
        let total_permit = Arc::clone(&self.0.bytes).try_acquire_many_owned(bytes).ok()?;
        Some(MemoryPermit { network_permit, total_permit, _network: network })
    }
}

impl ResponseReservation {
    /// Reserves memory for a text of `bytes` that becomes part of the response.
    ///
    /// # Errors
    /// [`Error::ResponseTooLarge`] when the response would have more than `max_text_bytes` of text;
    /// [`Error::Unavailable`] when all responses, or those of the client's network, have reached
    /// their limit.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        let text_bytes = self.text_bytes.saturating_add(bytes);
        if text_bytes > self.memory.0.max_text_bytes {
            return Err(Error::ResponseTooLarge);
        }
        self.grow_to(text_bytes)?;
        self.text_bytes = text_bytes;
        Ok(())
    }

    /// Ends the response, whose body has `bytes`, and returns its permit.
    ///
    /// The caller keeps the permit until the body is sent. What is reserved afterwards belongs to
    /// the next response.
    ///
    /// # Errors
    /// [`Error::Unavailable`] as in [`Self::reserve`].
    pub fn finish(&mut self, bytes: usize) -> Result<Option<MemoryPermit>, Error> {
        let grown = self.grow_to(bytes);
        (self.text_bytes, self.reserved_bytes) = (0, 0);
        let permit = self.permit.take();
        grown.map(|()| permit)
    }

    fn grow_to(&mut self, bytes: usize) -> Result<(), Error> {
        let missing = bytes.saturating_sub(self.reserved_bytes);
        if missing > 0 {
            let more = self.memory.try_acquire(self.network, missing).ok_or(Error::Unavailable)?;
            self.reserved_bytes += missing;
            self.permit = Some(match self.permit.take() {
                Some(permit) => permit.merge(more),
                None => more,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn network(text: &str) -> ClientNetwork {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn memory_is_reserved_per_network_and_released_when_the_response_is_sent() {
        let memory = ResponseMemory::new(300, 800);
        let here = network("192.0.2.1");
        let (mut one, mut other) = (memory.start(here), memory.start(here));
        assert!(one.reserve(1).is_ok());
        assert_eq!(memory.bytes_in_use(), 1, "the first byte is counted");
        assert!(one.reserve(99).is_ok() && one.reserve(200).is_ok());
        assert!(matches!(one.reserve(1), Err(Error::ResponseTooLarge)));
        assert_eq!(memory.bytes_in_use(), 300);
        assert!(other.reserve(100).is_ok());
        assert!(matches!(other.reserve(1), Err(Error::Unavailable)), "half is its limit");
        let mut elsewhere = memory.start(network("192.0.2.2"));
        assert!(elsewhere.reserve(100).is_ok(), "another network has its own half");
        drop(elsewhere);
        let sent = one.finish(300).unwrap();
        assert!(one.reserve(0).is_ok(), "the next response starts at zero");
        drop(one);
        assert_eq!(memory.bytes_in_use(), 400, "reserved until the response is sent");
        drop(sent);
        assert!(matches!(other.finish(900), Err(Error::Unavailable)), "over the total");
        assert_eq!(memory.bytes_in_use(), 0);
        assert!(memory.0.networks.is_empty());
    }
}
