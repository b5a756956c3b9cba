//! Authentication: passwords, sessions with bearer tokens, and the viewer.
//!
//! `viewer` proves that a request is authenticated, `session` opens sessions, `token` makes tokens
//! and their hashes, `external` verifies those of an identity provider, `password` hashes passwords
//! with bounded concurrency, `password_strength` refuses those that are easy to guess,
//! `activity_tracker` writes last-seen times.

mod activity_tracker;
mod client;
mod external;
mod password;
mod password_strength;
mod session;
mod token;
mod viewer;

pub use activity_tracker::ActivityTracker;
pub use client::Client;
pub use external::{ExternalUser, TokenIssuer, is_jwt};
pub use password::Passwords;
pub use password_strength::NewPassword;
pub use session::{
    ExternalSession, IssuedSession, MAX_SESSIONS, SessionSpec, open_external_session, open_session,
};
pub use token::{hash_token, is_well_formed, new_token};
pub use viewer::{Viewer, invalid_token};
