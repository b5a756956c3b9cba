//! What is stored: one SeaORM model per table, relations declared on the struct.
//!
//! A noun is a file here, in `graph` (what may happen to it), in `schema` (what clients say about
//! it) and in `tests/api` (what is promised). Nothing here knows GraphQL, HTTP or a rule of the
//! product; tables are made by the `migration` crate, and a test keeps the two in step.

pub mod bookmark;
pub mod event;
pub mod follow;
pub mod post;
pub mod secret;
pub mod session;
pub mod user;
