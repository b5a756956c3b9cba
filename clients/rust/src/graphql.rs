//! The operations and their responses.
//!
//! The types are the documents: cynic generates the queries from them. A field that the schema does
//! not have is a compile error.

use chrono::{DateTime, Utc};
use cynic::{Enum, Id, InlineFragments, InputObject, QueryFragment, QueryVariables};

mod conversation;
mod notification;
mod reaction;
mod relationship;
mod search;
mod timeline_marker;

pub use conversation::*;
pub use notification::*;
pub use reaction::*;
pub use relationship::*;
pub use search::*;
pub use timeline_marker::*;

#[cynic::schema("rookery")]
mod schema {}

cynic::impl_scalar!(DateTime<Utc>, schema::DateTime);

// Fragments

#[derive(QueryFragment, Debug, PartialEq)]
pub struct User {
    pub id: Id,
    pub username: String,
    pub followers_count: i32,
    pub following_count: i32,
    pub viewer_can_see: bool,
}

#[derive(QueryFragment, Clone, Debug, PartialEq)]
pub struct Post {
    pub id: Id,
    pub body: String,
    pub created_at: DateTime<Utc>,
    pub author: Author,
}

#[derive(QueryFragment, Clone, Debug, PartialEq)]
#[cynic(graphql_type = "User")]
pub struct Author {
    pub username: String,
}

#[derive(QueryFragment, Debug)]
pub struct PageInfo {
    pub has_next_page: bool,
    pub has_previous_page: bool,
    pub start_cursor: Option<String>,
    pub end_cursor: Option<String>,
}

// Expected failures of mutations

/// The user errors that this client handles, and a fallback for all others.
///
/// The fallback has the common fields.
#[derive(InlineFragments, Debug)]
pub enum UserError {
    NotFound(NotFoundError),
    Blocked(BlockedError),
    TooManyRequests(TooManyRequestsError),
    #[cynic(fallback)]
    Other(OtherError),
}

#[derive(QueryFragment, Debug)]
pub struct NotFoundError {
    pub code: UserErrorCode,
    pub message: String,
    pub path: Option<Vec<String>>,
}

#[derive(QueryFragment, Debug)]
pub struct BlockedError {
    pub code: UserErrorCode,
    pub message: String,
}

#[derive(QueryFragment, Debug)]
pub struct TooManyRequestsError {
    pub message: String,
    pub retry_after_seconds: i32,
}

#[derive(QueryFragment, Debug)]
#[cynic(graphql_type = "UserError")]
pub struct OtherError {
    pub code: UserErrorCode,
    pub message: String,
    pub path: Option<Vec<String>>,
}

#[derive(Enum, Clone, Copy, Debug, PartialEq)]
pub enum UserErrorCode {
    InvalidInput,
    NotFound,
    SelfTarget,
    Blocked,
    FollowLimitReached,
    TooManyRequests,
    UsernameTaken,
    EmailTaken,
    InvalidCredentials,
    PasswordLoginDisabled,
    IdempotencyMismatch,
    InvalidToken,
    EmailNotVerified,
}

// register

#[derive(InputObject)]
pub struct RegisterInput {
    pub username: String,
    pub email: String,
    pub password: String,
    pub display_name: Option<String>,
}

#[derive(QueryVariables)]
pub struct RegisterVariables {
    pub input: RegisterInput,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "RegisterVariables")]
pub struct Register {
    #[arguments(input: $input)]
    pub register: AuthPayload,
}

#[derive(QueryFragment)]
pub struct AuthPayload {
    pub token: Option<String>,
    pub user_errors: Vec<UserError>,
}

// follow and unfollow

/// Exactly one of the two fields, because the input is `@oneOf`.
#[derive(InputObject)]
pub enum UserBy<'a> {
    Id(&'a Id),
    Username(&'a str),
}

#[derive(QueryVariables)]
pub struct FollowVariables<'a> {
    pub user: UserBy<'a>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "FollowVariables")]
pub struct Follow {
    #[arguments(user: $user)]
    pub follow: FollowPayload,
}

#[derive(QueryFragment)]
pub struct FollowPayload {
    pub changed: bool,
    pub user: Option<User>,
    pub follower: Option<User>,
    pub relationship: Option<Relationship>,
    pub user_errors: Vec<UserError>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "FollowVariables")]
pub struct Unfollow {
    #[arguments(user: $user)]
    pub unfollow: UnfollowPayload,
}

#[derive(QueryFragment)]
pub struct UnfollowPayload {
    pub changed: bool,
    pub user: Option<User>,
    pub unfollowed_user_id: Option<Id>,
    pub user_errors: Vec<UserError>,
}

// A user's followers

#[derive(QueryVariables)]
pub struct FollowersVariables<'a> {
    pub by: UserBy<'a>,
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Query", variables = "FollowersVariables")]
pub struct Followers {
    #[arguments(by: $by)]
    pub user: Option<Followed>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "User", variables = "FollowersVariables")]
pub struct Followed {
    #[arguments(first: $first, after: $after, last: $last, before: $before)]
    pub followers: FollowerConnection,
}

#[derive(QueryFragment)]
pub struct FollowerConnection {
    pub total_count: i32,
    pub edges: Vec<FollowerEdge>,
    pub page_info: PageInfo,
}

#[derive(QueryFragment)]
pub struct FollowerEdge {
    pub followed_at: DateTime<Utc>,
    pub node: User,
}

// createPost

#[derive(InputObject, Clone, Copy)]
pub struct CreatePostInput<'a> {
    pub body: &'a str,
    pub in_reply_to_id: Option<&'a Id>,
    /// Within 24 hours, a repetition with the same key creates no other post.
    pub idempotency_key: Option<&'a str>,
}

#[derive(QueryVariables)]
pub struct CreatePostVariables<'a> {
    pub input: CreatePostInput<'a>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "CreatePostVariables")]
pub struct CreatePost {
    #[arguments(input: $input)]
    pub create_post: CreatePostPayload,
}

#[derive(QueryFragment)]
pub struct CreatePostPayload {
    pub post: Option<Post>,
    pub user_errors: Vec<UserError>,
}

// The viewer's timeline

#[derive(QueryFragment)]
#[cynic(graphql_type = "Query")]
pub struct Timeline {
    pub viewer: Option<Viewer>,
}

#[derive(QueryFragment)]
pub struct Viewer {
    pub timeline_marker: Option<String>,
    pub user: Reader,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "User")]
pub struct Reader {
    #[arguments(first: 10)]
    pub timeline: TimelineConnection,
}

#[derive(QueryFragment)]
pub struct TimelineConnection {
    pub stream_cursor: String,
    pub edges: Vec<TimelineEdge>,
}

#[derive(QueryFragment, Debug)]
pub struct TimelineEdge {
    pub cursor: String,
    pub reason: TimelineReason,
    /// `None` unless the entry is a repost.
    pub reposted_by: Option<Author>,
    pub node: Post,
}

#[derive(Enum, Clone, Copy, Debug, PartialEq)]
pub enum TimelineReason {
    Own,
    Following,
    Repost,
}

// The timeline, live

#[derive(QueryVariables)]
pub struct TimelineEventsVariables {
    pub after: Option<String>,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Subscription", variables = "TimelineEventsVariables")]
pub struct TimelineEvents {
    #[arguments(after: $after)]
    pub timeline_events: TimelineEvent,
}

/// All events of the schema, and a fallback for events of a newer server.
///
/// An event that is missing here is a compile error.
#[derive(InlineFragments, Debug)]
#[cynic(exhaustive)]
pub enum TimelineEvent {
    TimelinePostAdded(TimelinePostAdded),
    TimelinePostUpdated(TimelinePostUpdated),
    TimelinePostRemoved(TimelinePostRemoved),
    TimelineRepostRemoved(TimelineRepostRemoved),
    TimelineReset(TimelineReset),
    StreamLagged(StreamLagged),
    #[cynic(fallback)]
    Unknown(String),
}

#[derive(QueryFragment, Debug)]
pub struct TimelinePostAdded {
    pub cursor: String,
    pub edge: TimelineEdge,
}

#[derive(QueryFragment, Debug)]
pub struct TimelinePostUpdated {
    pub cursor: String,
    pub post: Post,
}

#[derive(QueryFragment, Debug)]
pub struct TimelinePostRemoved {
    pub cursor: String,
    pub post_id: Id,
}

#[derive(QueryFragment, Debug)]
pub struct TimelineRepostRemoved {
    pub cursor: String,
    pub post_id: Id,
    pub reposted_by_id: Id,
}

#[derive(QueryFragment, Debug)]
pub struct TimelineReset {
    pub cursor: String,
}

#[derive(QueryFragment, Debug)]
pub struct StreamLagged {
    /// `None` if the timeline must be read again.
    pub resume_after: Option<String>,
}
