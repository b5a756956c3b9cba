//! Integration tests of the GraphQL API, one file per noun or topic.
//!
//! The application runs in process, and each test has a database of its own: an SQLite file, or a
//! PostgreSQL database if `ROOKERY_TEST_POSTGRES` is set. Tests that need PostgreSQL are ignored by
//! default. `support` has the application, its users and the clients.

mod account;
mod avatar;
mod block;
mod bookmark;
mod clock;
mod concurrent_commands;
mod corpus;
mod database;
mod deletion;
mod email_verification;
mod embedded;
mod federation;
mod follow;
mod follow_list;
mod follow_many;
mod follow_request;
mod http;
mod idempotency;
mod identity;
mod instances;
mod like;
mod limits;
mod live;
mod loaders;
mod lock_order;
mod mail;
mod mention;
mod model;
mod mute;
mod node;
mod notification;
mod outage;
mod pages;
mod password_reset;
mod payload;
mod plans;
mod playground;
mod pool_and_wal;
mod pooler;
mod post;
mod queries;
mod registration;
mod relationship;
mod replica;
mod reply;
mod repost;
mod schema;
mod search;
mod suggestion;
mod support;
mod text;
mod timeline;
mod timeline_marker;
mod user;
mod visibility;
