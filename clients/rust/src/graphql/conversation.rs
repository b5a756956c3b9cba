//! A post with the posts before it, its replies, and the users whom it mentions.

use cynic::{Id, InlineFragments, QueryFragment, QueryVariables};

use super::{Author, Post, schema};

#[derive(QueryVariables)]
pub struct ConversationVariables {
    pub id: Id,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Query", variables = "ConversationVariables")]
pub struct ConversationQuery {
    #[arguments(id: $id)]
    pub node: Option<Node>,
}

#[derive(InlineFragments)]
pub enum Node {
    Post(Conversation),
    #[cynic(fallback)]
    Other,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Post")]
pub struct Conversation {
    pub mentions: Vec<Mention>,
    /// From the oldest on, down to the post that this one replies to.
    pub ancestors: Vec<Post>,
    pub replies_count: i32,
    #[arguments(first: 20)]
    pub replies: PostConnection,
}

/// Where the text names a user.
#[derive(QueryFragment, Debug)]
pub struct Mention {
    /// Position of the `@` in code points, as of `str::chars`.
    pub start: i32,
    /// Length in code points, including the `@`.
    pub length: i32,
    pub user: Author,
}

#[derive(QueryFragment)]
pub struct PostConnection {
    pub nodes: Vec<Post>,
}
