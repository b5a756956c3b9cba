//! Limits WebSockets and event streams, and the operations that run on them.
//!
//! Each is bounded per user, per client network and on the instance, because accounts and addresses
//! are free.

use super::client_network::{ClientNetwork, RateLimitKey};
use super::keyed::{KeyedPermit, KeyedSemaphore};
use crate::config::Limits;

/// Limits streams and operations. Clones share the counts.
#[derive(Clone, Default)]
pub struct StreamLimiter {
    open: Counts,
    operations: Counts,
}

/// What a user, a network and all clients have.
#[derive(Clone, Default)]
struct Counts {
    clients: KeyedSemaphore<RateLimitKey>,
    networks: KeyedSemaphore<ClientNetwork>,
    instance: KeyedSemaphore<()>,
}

/// A stream or an operation, until it is dropped.
#[derive(Debug)]
pub struct StreamPermit {
    client: KeyedPermit<RateLimitKey>,
    _network: KeyedPermit<ClientNetwork>,
    _instance: KeyedPermit<()>,
}

impl StreamPermit {
    /// The user, or the network of an anonymous client.
    pub fn key(&self) -> RateLimitKey {
        self.client.key()
    }
}

impl Counts {
    /// A permit within the limits of a client, of its network and of the instance.
    ///
    /// # Errors
    /// The limit that is reached, and whose it is.
    fn try_acquire(
        &self,
        key: RateLimitKey,
        network: ClientNetwork,
        [per_client, per_network, in_all]: [usize; 3],
    ) -> Result<StreamPermit, (usize, &'static str)> {
        let client = match key {
            RateLimitKey::User(_) => "one user",
            RateLimitKey::Network(_) => "the anonymous clients of one network",
        };
        let of_client = self.clients.try_acquire(key, per_client).ok_or((per_client, client))?;
        let of_network = self.networks.try_acquire(network, per_network);
        let of_network = of_network.ok_or((per_network, "one network"))?;
        let of_instance = self.instance.try_acquire((), in_all).ok_or((in_all, "all clients"))?;
        Ok(StreamPermit { client: of_client, _network: of_network, _instance: of_instance })
    }
}

impl StreamLimiter {
    /// A permit for a WebSocket or an event stream.
    ///
    /// # Errors
    /// A message for the client when a limit is reached.
    pub fn open(
        &self,
        key: RateLimitKey,
        network: ClientNetwork,
        limits: &Limits,
    ) -> Result<StreamPermit, String> {
        let per_client = match key {
            RateLimitKey::User(_) => limits.max_streams_per_user,
            RateLimitKey::Network(_) => limits.max_anonymous_streams_per_network,
        };
        let max = [per_client, limits.max_streams_per_network, limits.max_streams];
        self.open.try_acquire(key, network, max).map_err(|(max, owner)| {
            format!("more than {max} WebSockets and event streams of {owner}")
        })
    }

    /// A permit for an operation on a WebSocket.
    ///
    /// # Errors
    /// A message for the client when a limit is reached.
    pub fn start_operation(
        &self,
        key: RateLimitKey,
        network: ClientNetwork,
        limits: &Limits,
    ) -> Result<StreamPermit, String> {
        let max = [
            limits.max_stream_operations_per_user,
            limits.max_stream_operations_per_network,
            limits.max_stream_operations,
        ];
        self.operations.try_acquire(key, network, max).map_err(|(max, owner)| {
            format!("At most {max} operations of {owner} run at a time on WebSockets.")
        })
    }

    /// Number of open WebSockets and event streams.
    pub fn open_streams(&self) -> usize {
        self.open.instance.in_use()
    }

    /// Number of operations that run on WebSockets.
    pub fn running_operations(&self) -> usize {
        self.operations.instance.in_use()
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
    fn each_limit_bounds_the_clients_that_share_it() {
        let counts = Counts::default();
        let (here, there) = (network("192.0.2.1"), network("192.0.2.2"));
        let acquire =
            |user, network| counts.try_acquire(RateLimitKey::User(user), network, [1, 2, 3]);
        let first = acquire(1, here).unwrap();
        assert_eq!(acquire(1, there).unwrap_err(), (1, "one user"));
        let second = acquire(2, here).unwrap();
        assert_eq!(acquire(3, here).unwrap_err(), (2, "one network"));
        let third = acquire(3, there).unwrap();
        assert_eq!(acquire(4, there).unwrap_err(), (3, "all clients"));
        drop((first, second));
        assert!(
            acquire(3, here).is_err() && acquire(4, there).is_ok(),
            "nothing is held by a failure"
        );
        drop(third);
        assert_eq!(
            counts.instance.in_use() + counts.networks.in_use() + counts.clients.in_use(),
            0
        );
    }
}
