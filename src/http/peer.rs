//! Where a request comes from: the other end of its connection or, when that is a proxy that the operator trusts,
//! whoever the proxy says it passes on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::{HeaderName, header, request};
use ipnet::IpNet;
use tokio::sync::OwnedSemaphorePermit;

use crate::auth::{Client, Network};
use crate::place::Place;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection, beside each of its requests; and the connection's place among all, which a socket
/// keeps when it takes the connection over.
#[derive(Clone)]
pub struct Peer {
    address: IpAddr,
    _place: Option<Arc<Connected>>,
}

/// A connection's place among all, and among those of its network.
pub type Connected = (OwnedSemaphorePermit, Place<Network>);

impl Peer {
    pub fn new(address: IpAddr, place: Connected) -> Self {
        Self { address, _place: Some(Arc::new(place)) }
    }
}

/// Without a connection.
impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self { address, _place: None }
    }
}

pub fn client(head: &request::Parts, trusted: &[IpNet]) -> Client {
    let user_agent = head.headers.get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(Peer { address, .. }) = head.extensions.get() else {
        return Client { network: Network::default(), user_agent };
    };
    // Each proxy adds whom it speaks to at the end; what stands before a stranger's address, the stranger has written.
    let values = head.headers.get_all(FORWARDED_FOR).iter().rev();
    let mut hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let mut address = address.to_canonical();
    while trusted.iter().any(|network| network.contains(&address)) {
        let Some(next) = hops.next().and_then(parse) else { break };
        address = next;
    }
    Client { network: address.into(), user_agent }
}

/// With a port or without.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim();
    let socket = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    Some(text.parse().ok().or_else(socket)?.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};

    use super::*;

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let of = |peer: &str, forwarded: &[&str]| {
            let mut request = Request::get("/");
            for value in forwarded {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                request = request.header(FORWARDED_FOR, value);
            }
            let peer = Peer::from(peer.parse::<IpAddr>().unwrap());
            let (head, ()) = request.extension(peer).body(()).unwrap().into_parts();
            client(&head, &trusted).network
        };
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
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
            assert_eq!(of(peer, forwarded), network(expected), "{peer} {forwarded:?}");
        }
    }
}
