//! The transports of `/graphql`: POST and GET, server-sent events, and WebSocket.
//!
//! [`embedded`] executes the requests of a program that embeds Rookery.

mod body;
pub mod embedded;
mod post_get;
mod sse;
mod websocket;

pub use post_get::handle;
