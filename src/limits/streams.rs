//! Limits WebSockets and event streams, and the operations that run on them.

use super::client_network::RateLimitKey;
use super::keyed::{KeyedPermit, KeyedSemaphore};
use crate::config::Limits;

/// Limits streams and operations per user, or per network for anonymous clients.
///
/// Clones share the counts.
#[derive(Clone, Default)]
pub struct StreamLimiter {
    open: KeyedSemaphore<RateLimitKey>,
    operations: KeyedSemaphore<RateLimitKey>,
}

impl StreamLimiter {
    /// A permit for a WebSocket or an event stream.
    ///
    /// # Errors
    /// A message for the client when its limit is reached.
    pub fn open(
        &self,
        key: RateLimitKey,
        limits: &Limits,
    ) -> Result<KeyedPermit<RateLimitKey>, String> {
        let (max, owner) = match key {
            RateLimitKey::User(_) => (limits.max_streams_per_user, "one user"),
            RateLimitKey::Network(_) => (limits.max_streams_per_network, "one network"),
        };
        let full = || format!("more than {max} WebSockets and event streams of {owner}");
        self.open.try_acquire(key, max).ok_or_else(full)
    }

    /// A permit for an operation on a WebSocket.
    ///
    /// # Errors
    /// A message for the client when its limit is reached.
    pub fn start_operation(
        &self,
        key: RateLimitKey,
        limits: &Limits,
    ) -> Result<KeyedPermit<RateLimitKey>, String> {
        let max = limits.max_stream_operations_per_user;
        let full = || format!("At most {max} operations run at a time on all your WebSockets.");
        self.operations.try_acquire(key, max).ok_or_else(full)
    }

    /// Number of open WebSockets and event streams.
    pub fn open_streams(&self) -> usize {
        self.open.in_use()
    }
}
