//! What the binary can do besides answering requests, a file or a folder for each command. `main`
//! reads the command line; the work is here, where tests can call it.

mod bulk;
pub mod copy;
pub mod doctor;
pub mod import;
mod indexes;
pub mod lock;
pub mod migrate;
mod progress;
pub mod seed;
pub mod serve;
#[cfg(test)]
mod testing;
pub mod token;
