//! Test support: the application in process, actors, PostgreSQL servers and databases, service
//! processes, and a client for subscriptions.

pub mod actors;
pub mod app;
pub mod postgres;
pub mod process;
pub mod server;
pub mod stream_client;
