//! The client that sends a request.

use crate::limits::ClientNetwork;

/// Where a request comes from, and which program sends it.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The network of the client's address, by which anonymous requests are limited.
    pub network: ClientNetwork,
    /// The value of the header `User-Agent`.
    pub user_agent: Option<String>,
}
