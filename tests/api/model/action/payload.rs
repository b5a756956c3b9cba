//! The payloads of mutations, as the model expects them.

use serde_json::{Value, json};

use crate::model::graph::{Code, Graph};

/// The fields of `Relationship` that do not contain a time.
pub const RELATIONSHIP: &str = "user { username } followState followedBy requestedBy canFollow
    cannotFollowReason blocking blockedBy muting mutingUntil isMutual";

/// The payload of a change of a post.
pub const POST_PAYLOAD: &str = "changed post { id body likesCount repostsCount repliesCount
    viewerHasLiked viewerHasReposted viewerHasBookmarked
    mentions { user { username } start length } } userErrors { code }";

/// A failure without a payload.
pub fn error(code: &str) -> Value {
    json!({ "error": code })
}

pub fn relationship_payload(
    graph: &Graph,
    viewer: usize,
    target: usize,
    outcome: Result<bool, Code>,
) -> Value {
    match outcome {
        Ok(changed) => json!({
            "changed": changed,
            "user": {
                "followersCount": graph.follows.before(target).len(),
                "followingCount": graph.follows.after(target).len(),
            },
            "relationship": graph.relationship(viewer, target),
            "userErrors": [],
        }),
        Err(code) => json!({
            "changed": false,
            "user": null,
            "relationship": null,
            "userErrors": [{ "code": code }],
        }),
    }
}

/// A failed change of a post.
pub fn post_error(code: Code) -> Value {
    json!({ "changed": false, "post": null, "userErrors": [{ "code": code }] })
}

/// A post as the payload [`POST_PAYLOAD`].
pub fn post_payload(graph: &Graph, viewer: usize, post: usize, changed: bool) -> Value {
    let reposters = graph.reposters(post);
    json!({
        "changed": changed,
        "post": {
            "id": graph.posts[post].id,
            "body": graph.posts[post].body,
            "likesCount": graph.likes.before(post).len(),
            "repostsCount": reposters.len(),
            "repliesCount": graph.replies_count(post),
            "viewerHasLiked": graph.likes.contains(viewer, post),
            "viewerHasReposted": reposters.contains(&viewer),
            "viewerHasBookmarked": graph.bookmarks.contains(viewer, post),
            "mentions": graph.mentions_json(post),
        },
        "userErrors": [],
    })
}

/// The newest post as the payload of `createPost`, without its id.
pub fn new_post(graph: &Graph, viewer: usize, outcome: Result<(), Code>) -> Value {
    if let Err(code) = outcome {
        return json!({ "post": null, "timelineEdge": null, "userErrors": [{ "code": code }] });
    }
    let post = graph.posts.len() - 1;
    let parent = graph.parent(post, Some(viewer)).map(|parent| {
        let replies = graph.replies_count(parent);
        json!({ "id": graph.posts[parent].id, "repliesCount": replies })
    });
    json!({
        "post": {
            "body": graph.posts[post].body,
            "isReply": graph.posts[post].parent.is_some(),
            "repliesCount": 0,
            "inReplyTo": parent,
            "viewerHasBookmarked": false,
            "viewerCanDelete": true,
            "viewerCanReply": true,
            "mentions": graph.mentions_json(post),
        },
        "timelineEdge": { "reason": "OWN" },
        "userErrors": [],
    })
}
