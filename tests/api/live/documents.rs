//! The subscriptions of the tests, and their events as short texts.

use serde_json::Value;

/// A subscription to the viewer's timeline.
pub const TIMELINE: &str = "subscription ($after: String) { timelineEvents(after: $after) {
    __typename
    ... on StreamEvent { cursor occurredAt }
    ... on TimelinePostAdded {
      edge { cursor reason repostedBy { id username } node { id body author { username } } } }
    ... on TimelinePostUpdated { post { id body editedAt likesCount repliesCount repostsCount } }
    ... on TimelinePostRemoved { postId }
    ... on TimelineRepostRemoved { postId repostedById }
    ... on TimelineReset { user { username } }
    ... on StreamLagged { missed resumeAfter }
} }";

/// A subscription to the viewer's relationships.
pub const FOLLOWS: &str = "subscription ($userIds: [ID!]) { relationshipEvents(userIds: $userIds) {
    occurredAt relationship { followState followedBy user { username } } } }";

/// A subscription to the counts of a user.
pub const COUNTS: &str = "subscription ($userId: ID!) { followCounts(userId: $userId) {
    username followersCount followingCount } }";

/// An event as a short text, such as `+body` for an added post.
///
/// `+body by username` is an added repost, and `~post by user`, with ids, one that has ended.
pub fn summary(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    match event["__typename"].as_str().unwrap() {
        "TimelinePostAdded" => {
            let reposter = event["edge"]["repostedBy"]["username"].as_str();
            let by = reposter.map(|user| format!(" by {user}")).unwrap_or_default();
            format!("+{}{by}", text(&event["edge"]["node"]["body"]))
        }
        "TimelinePostUpdated" => format!("={}", text(&event["post"]["body"])),
        "TimelinePostRemoved" => format!("-{}", text(&event["postId"])),
        "TimelineRepostRemoved" => {
            format!("~{} by {}", text(&event["postId"]), text(&event["repostedById"]))
        }
        "TimelineReset" => format!("!{}", text(&event["user"]["username"])),
        other => other.to_owned(),
    }
}
