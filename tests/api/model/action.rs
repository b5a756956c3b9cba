//! Actions of a user: the mutation for the service, and its effect on the model.

use serde_json::{Value, json};

use super::graph::{Code, Graph, name};
use crate::support::app::PASSWORD;

/// The fields of `Relationship` that do not contain a time.
pub const RELATIONSHIP: &str = "user { username } followState followedBy requestedBy canFollow
    cannotFollowReason blocking blockedBy muting mutingUntil isMutual";

/// A change of the relationship with another user.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    Follow,
    Unfollow,
    RemoveFollower,
    Accept,
    Reject,
    Block,
    Unblock,
    Mute,
    Unmute,
}

impl Verb {
    /// The name of the mutation.
    fn field(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Unfollow => "unfollow",
            Self::RemoveFollower => "removeFollower",
            Self::Accept => "acceptFollowRequest",
            Self::Reject => "rejectFollowRequest",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Mute => "mute",
            Self::Unmute => "unmute",
        }
    }

    /// Changes the model.
    ///
    /// Returns whether anything changed, or the code of the user error.
    fn apply(self, viewer: usize, target: usize, graph: &mut Graph) -> Result<bool, Code> {
        if !graph.users.contains(&target) {
            return Err("NOT_FOUND");
        }
        if viewer == target {
            return Err("SELF_TARGET");
        }
        match self {
            Self::Follow => graph.follow(viewer, target),
            Self::Unfollow => Ok(graph.unfollow(viewer, target)),
            Self::RemoveFollower => Ok(graph.remove_follower(viewer, target)),
            Self::Accept => graph.accept(viewer, target),
            Self::Reject => Ok(graph.reject(viewer, target)),
            Self::Block => Ok(graph.block(viewer, target)),
            Self::Unblock => Ok(graph.unblock(viewer, target)),
            Self::Mute => Ok(graph.mute(viewer, target)),
            Self::Unmute => Ok(graph.unmute(viewer, target)),
        }
    }
}

/// An action of a user. Users and posts are numbers of the model.
#[derive(Clone, Debug)]
pub enum Action {
    Change(Verb, usize),
    Protect(bool),
    CreatePost(String),
    EditPost(usize, String),
    DeletePost(usize),
    Bookmark(usize),
    Unbookmark(usize),
    Like(usize),
    Unlike(usize),
    DeleteAccount,
}

impl Action {
    /// The mutation, whose payload is in the field `do`, and its variables.
    pub fn mutation(&self, graph: &Graph) -> (String, Value) {
        let post_payload = "changed post { id body likesCount viewerHasLiked viewerHasBookmarked }
            userErrors { code }";
        let id = |post: &usize| json!({ "id": graph.posts[*post].id });
        let of_post = |field: &str, post: &usize| {
            let document =
                format!("mutation ($id: ID!) {{ do: {field}(postId: $id) {{ {post_payload} }} }}");
            (document, id(post))
        };
        match self {
            Self::Change(verb, target) => {
                let payload = format!(
                    "changed user {{ followersCount followingCount }}
                     relationship {{ {RELATIONSHIP} }} userErrors {{ code }}"
                );
                let field = verb.field();
                let document =
                    format!("mutation ($by: UserBy!) {{ do: {field}(user: $by) {{ {payload} }} }}");
                (document, json!({ "by": { "username": name(*target) } }))
            }
            Self::Protect(is_protected) => {
                let document = "mutation ($isProtected: Boolean!) {
                    do: updateProfile(input: {isProtected: $isProtected}) {
                        user { isProtected } userErrors { code } } }";
                (document.to_owned(), json!({ "isProtected": is_protected }))
            }
            Self::CreatePost(body) => {
                let document = "mutation ($body: String!) { do: createPost(input: {body: $body}) {
                    post { newId: id body viewerHasBookmarked viewerCanDelete }
                    timelineEdge { reason } userErrors { code } } }";
                (document.to_owned(), json!({ "body": body }))
            }
            Self::EditPost(post, body) => {
                let document = format!(
                    "mutation ($id: ID!, $body: String!) {{
                     do: editPost(input: {{id: $id, body: $body}}) {{ {post_payload} }} }}"
                );
                (document, json!({ "id": graph.posts[*post].id, "body": body }))
            }
            Self::DeletePost(post) => {
                let document = "mutation ($id: ID!) { do: deletePost(id: $id) {
                    changed deletedPostId userErrors { code } } }";
                (document.to_owned(), id(post))
            }
            Self::Bookmark(post) => of_post("bookmark", post),
            Self::Unbookmark(post) => of_post("unbookmark", post),
            Self::Like(post) => of_post("like", post),
            Self::Unlike(post) => of_post("unlike", post),
            Self::DeleteAccount => {
                let document = "mutation ($password: String!) {
                    do: deleteAccount(input: {password: $password}) {
                        changed userErrors { code } } }";
                (document.to_owned(), json!({ "password": PASSWORD }))
            }
        }
    }

    /// Performs the action in the model.
    ///
    /// Returns the expected payload, or the expected error. `new_id` is the id of the new post, if
    /// the service has created one.
    pub fn apply(&self, viewer: usize, graph: &mut Graph, new_id: &str) -> Value {
        if !graph.users.contains(&viewer) {
            return error("UNAUTHENTICATED");
        }
        match self {
            Self::Change(verb, target) => {
                let outcome = verb.apply(viewer, *target, graph);
                relationship_payload(graph, viewer, *target, outcome)
            }
            Self::Protect(is_protected) => {
                graph.protect(viewer, *is_protected);
                json!({ "user": { "isProtected": is_protected }, "userErrors": [] })
            }
            Self::CreatePost(body) => {
                graph.add_post(viewer, new_id, body);
                json!({
                    "post": { "body": body, "viewerHasBookmarked": false, "viewerCanDelete": true },
                    "timelineEdge": { "reason": "OWN" },
                    "userErrors": [],
                })
            }
            Self::DeleteAccount => {
                graph.delete_user(viewer);
                json!({ "changed": true, "userErrors": [] })
            }
            Self::EditPost(post, _) | Self::DeletePost(post)
                if graph.may_see_post(Some(viewer), *post)
                    && graph.posts[*post].author != viewer =>
            {
                error("FORBIDDEN")
            }
            Self::DeletePost(post) => {
                let changed = graph.may_see_post(Some(viewer), *post);
                if changed {
                    graph.delete_post(*post);
                }
                let id = &graph.posts[*post].id;
                json!({ "changed": changed, "deletedPostId": id, "userErrors": [] })
            }
            Self::EditPost(post, _)
            | Self::Bookmark(post)
            | Self::Unbookmark(post)
            | Self::Like(post)
            | Self::Unlike(post)
                if !graph.may_see_post(Some(viewer), *post) =>
            {
                post_error("NOT_FOUND")
            }
            Self::EditPost(post, body) => {
                let changed = graph.edit_post(*post, body);
                post_payload(graph, viewer, *post, changed)
            }
            Self::Bookmark(post) => {
                let changed = graph.bookmark(viewer, *post);
                post_payload(graph, viewer, *post, changed)
            }
            Self::Unbookmark(post) => {
                let changed = graph.unbookmark(viewer, *post);
                post_payload(graph, viewer, *post, changed)
            }
            Self::Like(post) => match graph.like(viewer, *post) {
                Ok(changed) => post_payload(graph, viewer, *post, changed),
                Err(code) => post_error(code),
            },
            Self::Unlike(post) => {
                let changed = graph.unlike(viewer, *post);
                post_payload(graph, viewer, *post, changed)
            }
        }
    }
}

/// A failure without a payload.
pub fn error(code: &str) -> Value {
    json!({ "error": code })
}

fn relationship_payload(
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
fn post_error(code: Code) -> Value {
    json!({ "changed": false, "post": null, "userErrors": [{ "code": code }] })
}

fn post_payload(graph: &Graph, viewer: usize, post: usize, changed: bool) -> Value {
    let has_bookmarked = graph.bookmarks.contains(viewer, post);
    let (likes, has_liked) = (graph.likes.before(post).len(), graph.likes.contains(viewer, post));
    let post = &graph.posts[post];
    json!({
        "changed": changed,
        "post": { "id": post.id, "body": post.body, "likesCount": likes,
                  "viewerHasLiked": has_liked, "viewerHasBookmarked": has_bookmarked },
        "userErrors": [],
    })
}
