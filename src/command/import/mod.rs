//! `rookery import`: adds the rows of a file in one transaction, all or nothing.

pub mod edge_list;
pub mod follows;
mod lines;
pub mod posts;
#[cfg(test)]
mod tests;
