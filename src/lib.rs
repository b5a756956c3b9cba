//! Rookery: users, follows, posts and a home timeline over GraphQL.
pub mod database;
pub mod error;
pub mod id;
pub mod key;
pub mod loader;
pub mod page;
