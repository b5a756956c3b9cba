//! The client's address, directly or behind trusted proxies.
//!
//! It is the peer of the connection or, behind trusted proxies, read from `X-Forwarded-For`. Each
//! proxy appends the address of its peer to this header. The header is therefore read from its end,
//! for as long as the address so far is that of a trusted proxy (`--trusted-proxies`). What stands
//! before the first untrusted address may be forged by the client and is ignored.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::{HeaderName, header, request};
use ipnet::IpNet;
use tokio::sync::OwnedSemaphorePermit;

use crate::auth::Client;
use crate::limits::{ClientNetwork, KeyedPermit};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The peer of a connection, as an extension of each of its requests.
///
/// It holds the permit of the connection. A WebSocket keeps a clone when it takes the connection
/// over, so that the permit is released when the socket is closed.
#[derive(Clone)]
pub struct Peer {
    address: IpAddr,
    _permit: Option<Arc<ConnectionPermit>>,
}

/// The permits of a connection: in total and for its client network.
pub type ConnectionPermit = (OwnedSemaphorePermit, KeyedPermit<ClientNetwork>);

impl Peer {
    pub fn new(address: IpAddr, permit: ConnectionPermit) -> Self {
        Self { address, _permit: Some(Arc::new(permit)) }
    }
}

/// A peer without a connection, for requests passed to the router directly.
impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self { address, _permit: None }
    }
}

/// The client of a request: its network and its user agent.
///
/// The network is that of the client's address, which is taken from the `trusted` proxies if the
/// request came by them. A program that embeds Rookery provides the peer as `ConnectInfo`.
pub fn client(head: &request::Parts, trusted: &[IpNet]) -> Client {
    let user_agent = head.headers.get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let network = address(head, trusted).map(ClientNetwork::from).unwrap_or_default();
    Client { network, user_agent }
}

/// The address of the client of a request, as in [`client`].
pub fn address(head: &request::Parts, trusted: &[IpNet]) -> Option<IpAddr> {
    let connect_info = || {
        let ConnectInfo(address) = head.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(address.ip())
    };
    let peer = head.extensions.get().map(|Peer { address, .. }| *address).or_else(connect_info);
    let mut address = peer?.to_canonical();
    let values = head.headers.get_all(FORWARDED_FOR).iter().rev();
    let mut hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    while trusted.iter().any(|network| network.contains(&address)) {
        let Some(next) = hops.next().and_then(parse_address) else { break };
        address = next;
    }
    Some(address)
}

/// Parses an address with or without a port.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim();
    let socket = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    Some(text.parse().ok().or_else(socket)?.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};

    use super::*;

    #[test]
    fn forwarded_for_is_honoured_from_trusted_proxies_only() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let client_network = |peer: &str, forwarded: &[&str]| {
            let mut request = Request::get("/");
            for value in forwarded {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                request = request.header(FORWARDED_FOR, value);
            }
            let peer = Peer::from(peer.parse::<IpAddr>().unwrap());
            let (head, ()) = request.extension(peer).body(()).unwrap().into_parts();
            client(&head, &trusted).network
        };
        let network = |text: &str| ClientNetwork::from(text.parse::<IpAddr>().unwrap());
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("::1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["ÿ, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "ÿ, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "ÿ"], "10.0.0.1"),
        ] {
            let actual = client_network(peer, forwarded);
            assert_eq!(actual, network(expected), "{peer} {forwarded:?}");
        }
    }
}
