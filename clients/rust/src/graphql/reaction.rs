//! Likes and reposts.

use cynic::{Id, QueryFragment, QueryVariables};

use super::{UserError, schema};

#[derive(QueryVariables)]
pub struct PostVariables {
    pub post_id: Id,
}

/// The counts of a post, and what the viewer has done.
#[derive(QueryFragment, Debug, PartialEq)]
#[cynic(graphql_type = "Post")]
pub struct Reactions {
    pub likes_count: i32,
    pub viewer_has_liked: bool,
    pub reposts_count: i32,
    pub viewer_has_reposted: bool,
}

#[derive(QueryFragment)]
pub struct PostPayload {
    pub changed: bool,
    pub post: Option<Reactions>,
    pub user_errors: Vec<UserError>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "PostVariables")]
pub struct Like {
    #[arguments(postId: $post_id)]
    pub like: PostPayload,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "PostVariables")]
pub struct Unlike {
    #[arguments(postId: $post_id)]
    pub unlike: PostPayload,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "PostVariables")]
pub struct Repost {
    #[arguments(postId: $post_id)]
    pub repost: PostPayload,
}
