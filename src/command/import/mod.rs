//! `rookery import`: adds the rows of a file in one transaction, all or nothing.

pub mod edge_list;
mod lines;
pub mod pairs;
pub mod posts;
#[cfg(test)]
mod tests;
