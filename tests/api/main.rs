//! What Rookery promises, noun by noun, through the door that clients use: GraphQL over HTTP, in
//! process, on a database of the test's own.

mod account;
mod app;
mod avatar;
mod beside;
mod bookmark;
mod cast;
mod corpus;
mod database;
mod events;
mod federation;
mod follow;
mod http;
mod instances;
mod limits;
mod live;
mod loader;
mod node;
mod outage;
mod pages;
mod playground;
mod pooler;
mod post;
mod postgres;
mod pressure;
mod queries;
mod replica;
mod schema;
mod server;
mod timeline;
mod user;
