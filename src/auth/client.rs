//! Where a request comes from, as far as that tells one client from another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Viewer;

/// What counts as one place: an IPv4 address, or the /64 of an IPv6 address, which one household has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Of requests that no connection brought.
impl Default for Network {
    fn default() -> Self {
        Self(Ipv4Addr::UNSPECIFIED.into())
    }
}

/// The program that sends a request.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub network: Network,
    /// What it says of itself.
    pub user_agent: Option<String>,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    User(i64),
    Network(Network),
}

impl Who {
    /// A viewer, wherever they are; nobody in particular, by where they are.
    pub fn of(viewer: Option<&Viewer>, client: &Client) -> Self {
        viewer.map_or(Self::Network(client.network), |viewer| Self::User(viewer.id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_one_network() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8:1:2::3"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::3"), network("2001:db8:1:3::3"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
