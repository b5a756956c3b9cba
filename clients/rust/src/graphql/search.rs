//! Posts by their words, and users by the beginnings of their names.

use cynic::{QueryFragment, QueryVariables};

use super::{Author, PageInfo, Post, UserBy, schema};

#[derive(QueryVariables)]
pub struct SearchVariables<'a> {
    /// What the user has typed.
    pub query: String,
    /// Only posts of this user.
    pub by: Option<UserBy<'a>>,
    pub after: Option<String>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Query", variables = "SearchVariables")]
pub struct Search {
    #[arguments(query: $query, by: $by, first: 20, after: $after)]
    pub search_posts: PostSearchConnection,
    #[arguments(query: $query, first: 5)]
    pub search_users: Vec<Author>,
}

#[derive(QueryFragment)]
pub struct PostSearchConnection {
    pub nodes: Vec<Post>,
    pub page_info: PageInfo,
}
