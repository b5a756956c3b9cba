//! Rookery: users, follows, posts and a home timeline over GraphQL.
//!
//! A request goes down the rooms (the top-level modules) once, and plain values come back up once:
//! `http` (the server and its transports), `graphql` (from a document to a response), `schema` (the
//! GraphQL types), `domain` (rules and writes) and `loaders` (batched reads), `entity` (storage).
//! `events` delivers live updates, `mail` sends mails, `auth` verifies passwords and tokens,
//! `limits` bounds what clients use. `app` builds the application from its `config`.
//! `docs/architecture.md` shows the whole.

// A closed or full pipe must not end or delay the service: `command::output` and `tracing` write.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod app;
pub mod auth;
pub mod clock;
pub mod command;
pub mod config;
pub mod database;
pub mod domain;
pub mod error;
pub mod events;
pub mod graphql;
pub mod http;
pub mod ids;
pub mod limits;
pub mod loaders;
pub mod mail;
pub mod pagination;
pub mod retry;
pub mod schema;
pub mod telemetry;
pub mod words;
