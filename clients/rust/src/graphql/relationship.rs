//! Protected accounts, requests to follow, blocks and mutes.

use chrono::{DateTime, Utc};
use cynic::{Enum, InputObject, QueryFragment, QueryVariables};

use super::{Author, UserBy, UserError, schema};

#[derive(Enum, Clone, Copy, Debug, PartialEq)]
pub enum FollowState {
    NotFollowing,
    Requested,
    Following,
}

#[derive(QueryFragment, Debug, PartialEq)]
pub struct Relationship {
    pub follow_state: FollowState,
    pub followed_by: bool,
    pub blocking: bool,
    pub muting: bool,
}

#[derive(QueryVariables)]
pub struct TargetVariables<'a> {
    pub user: UserBy<'a>,
}

#[derive(QueryFragment)]
pub struct RelationshipPayload {
    pub changed: bool,
    pub relationship: Option<Relationship>,
    pub user_errors: Vec<UserError>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "TargetVariables")]
pub struct AcceptFollowRequest {
    #[arguments(user: $user)]
    pub accept_follow_request: RelationshipPayload,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "TargetVariables")]
pub struct Block {
    #[arguments(user: $user)]
    pub block: RelationshipPayload,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "TargetVariables")]
pub struct Mute {
    #[arguments(user: $user)]
    pub mute: RelationshipPayload,
}

// updateProfile

#[derive(InputObject)]
pub struct UpdateProfileInput {
    pub is_protected: Option<bool>,
}

#[derive(QueryVariables)]
pub struct UpdateProfileVariables {
    pub input: UpdateProfileInput,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "UpdateProfileVariables")]
pub struct UpdateProfile {
    #[arguments(input: $input)]
    pub update_profile: UpdateProfilePayload,
}

#[derive(QueryFragment)]
pub struct UpdateProfilePayload {
    pub user: Option<Protection>,
    pub user_errors: Vec<UserError>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "User")]
pub struct Protection {
    pub is_protected: bool,
}

// The lists that only the viewer can read

#[derive(QueryFragment)]
#[cynic(graphql_type = "Query")]
pub struct PrivateLists {
    pub viewer: Option<ViewerLists>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Viewer")]
pub struct ViewerLists {
    #[arguments(first: 100)]
    pub follow_requests: FollowRequestConnection,
    #[arguments(first: 100)]
    pub sent_follow_requests: FollowRequestConnection,
    #[arguments(first: 100)]
    pub blocked_users: BlockedUserConnection,
    #[arguments(first: 100)]
    pub muted_users: MutedUserConnection,
}

#[derive(QueryFragment)]
pub struct FollowRequestConnection {
    pub edges: Vec<FollowRequestEdge>,
}

#[derive(QueryFragment)]
pub struct FollowRequestEdge {
    pub requested_at: DateTime<Utc>,
    pub node: Author,
}

#[derive(QueryFragment)]
pub struct BlockedUserConnection {
    pub nodes: Vec<Author>,
}

#[derive(QueryFragment)]
pub struct MutedUserConnection {
    pub nodes: Vec<Author>,
}
