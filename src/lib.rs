//! Rookery: users, follows, posts and a home timeline over GraphQL.
//!
//! A request goes down the layers once, and plain values come back up once:
//! `http` -> `schema` -> `graph` (what may happen) and `loader` (batched reads) -> `entity`.
//! `live` tells those who watch what happens. `auth` knows who is asking. `key`, `id`, `page`, `place`, `trace`, `error` and `database` are for all.
//! `app` puts everything together, for the binary and for the tests alike; `config` holds every
//! setting and limit.

pub mod app;
pub mod auth;
pub mod budget;
pub mod command;
pub mod config;
pub mod database;
pub mod error;
pub mod graph;
pub mod http;
pub mod id;
pub mod key;
pub mod live;
pub mod loader;
pub mod page;
pub mod place;
pub mod schema;
pub mod telemetry;
pub mod trace;
