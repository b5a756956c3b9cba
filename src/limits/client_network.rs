//! The client network of a request, and the key of its rate limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 address or an IPv6 /56.
///
/// Providers assign a /56 to one household (RFC 6177): with a /64, such a client would count as 256
/// networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 72 << 72).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The network of requests that came over no connection, as in tests.
impl Default for ClientNetwork {
    fn default() -> Self {
        Self(Ipv4Addr::UNSPECIFIED.into())
    }
}

/// Requests with the same key share one rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// A signed-in user, from whichever network.
    User(i64),
    /// The anonymous clients of a network.
    Network(ClientNetwork),
}

impl RateLimitKey {
    /// The key of a request by `user`, or of an anonymous request from `network`.
    pub fn for_request(user: Option<i64>, network: ClientNetwork) -> Self {
        user.map_or(Self::Network(network), Self::User)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_of_one_56_are_one_network() {
        let network = |text: &str| ClientNetwork::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8:1:200::3"), network("2001:db8:1:2ff:ffff::"));
        assert_ne!(network("2001:db8:1:2ff::3"), network("2001:db8:1:300::3"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
