//! `import`: fills the database from a file, line by line, all of it or nothing.

pub mod edges;
mod lines;
pub mod posts;
#[cfg(test)]
mod tests;
