//! Storage: one SeaORM model per table with its relations, and the list of tables.
//!
//! The crate depends on neither GraphQL nor HTTP and contains no rules of the product. The crate
//! `migration` creates the tables; a test compares the two.

pub mod block;
pub mod bookmark;
pub mod dismissal;
pub mod event;
pub mod event_part;
pub mod external_token;
pub mod feed_item;
pub mod follow;
pub mod follow_request;
pub mod idempotency_key;
pub mod identity;
pub mod invite;
pub mod like;
pub mod mail;
pub mod mail_token;
pub mod mention;
pub mod mute;
pub mod notification;
pub mod post;
pub mod secret;
pub mod session;
mod tables;
pub mod user;

pub use tables::{Count, Reference, TABLES, Table};
