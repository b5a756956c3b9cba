//! Deletions of posts and of accounts, in steps.
//!
//! A deletion can concern any number of rows of other users. It is therefore a sequence of
//! transactions, each of which changes a bounded number of rows: other writers wait for one step at
//! most, on SQLite for the only writer, on PostgreSQL for row locks. Each step keeps all counts
//! equal to the rows, and records its events.
//!
//! A deletion that ends early, for example by the timeout of its request or the end of the process,
//! leaves an exact database. The post or the account still exists, with fewer reactions, posts and
//! follows. It can be deleted again, and the deletion then goes on.

mod account;
mod plan;
mod post;
mod reactions;
mod rows;
mod uncounted;

pub use account::delete_account;
pub use post::delete_post;

/// Number of rows that a step deletes, beside those that depend on them.
const STEP: i64 = 1_000;
