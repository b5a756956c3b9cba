//! What the binary can do besides answering requests, a file for each command. `main` reads the
//! command line; the work is here, where tests can call it.

pub mod migrate;
pub mod serve;
pub mod token;
pub mod seed {
    pub async fn demo(_: &crate::database::Database, _: String) -> anyhow::Result<bool> {
        Ok(false)
    }
}
