//! The commands of the binary, one file or folder each.
//!
//! `main` parses the command line, opens databases and prints results. The work is done here, so
//! that tests can call it.

mod bulk;
pub mod copy;
pub mod doctor;
pub mod import;
mod indexes;
pub mod invite;
pub mod lock;
pub mod migrate;
pub mod output;
mod progress;
pub mod seed;
pub mod serve;
#[cfg(test)]
mod testing;
pub mod token;
