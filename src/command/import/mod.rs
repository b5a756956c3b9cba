//! `rookery import`: adds the rows of a file in one transaction, all or nothing.

pub mod edge_list;
mod existing_posts;
mod lines;
pub mod pairs;
mod post_line;
pub mod posts;
#[cfg(test)]
mod tests;
