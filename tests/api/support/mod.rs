//! Test support: instances, actors, databases, an identity provider, streams.
//!
//! An instance runs in the test process or in a process of its own. A test can use a database on a
//! shared PostgreSQL server, or start PostgreSQL servers of its own.

pub mod actors;
pub mod app;
pub mod identity_provider;
pub mod mail;
pub mod postgres;
pub mod process;
pub mod server;
pub mod stream_client;
