//! A client of Rookery that cynic checks against schema.graphql.

pub mod account;
pub mod client;
pub mod graphql;
