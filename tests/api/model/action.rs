//! Actions of a user: the mutation for the service, and its effect on the model.

mod payload;
mod reaction;
mod verb;

use serde_json::{Value, json};

use self::payload::{POST_PAYLOAD, new_post, post_error, post_payload, relationship_payload};
use super::graph::{Code, Graph, name};
use crate::support::app::PASSWORD;

pub use self::payload::{RELATIONSHIP, error};
pub use self::reaction::Reaction;
pub use self::verb::Verb;

/// An action of a user.
///
/// Users, posts, feed items and notifications are numbers of the model.
#[derive(Clone, Debug)]
pub enum Action {
    Change(Verb, usize),
    Protect(bool),
    /// With the post that the new post replies to.
    CreatePost(String, Option<usize>),
    EditPost(usize, String),
    DeletePost(usize),
    React(Reaction, usize),
    /// Up to a notification, with its id, or all.
    MarkNotificationsRead(Option<(usize, String)>),
    /// Up to a feed item, with its cursor.
    MarkTimelineRead(usize, String),
    DeleteAccount,
}

impl Action {
    /// The mutation, whose payload is in the field `do`, and its variables.
    pub fn mutation(&self, graph: &Graph) -> (String, Value) {
        let id = |post: &usize| graph.posts[*post].id.as_str();
        match self {
            Self::Change(verb, target) => {
                let (document, by) = (verb.document(), json!({ "username": name(*target) }));
                (document, json!({ "by": by }))
            }
            Self::Protect(is_protected) => {
                let document = "mutation ($isProtected: Boolean!) {
                    do: updateProfile(input: {isProtected: $isProtected}) {
                        user { isProtected } userErrors { code } } }";
                (document.to_owned(), json!({ "isProtected": is_protected }))
            }
            Self::CreatePost(body, parent) => {
                let document = "mutation ($body: String!, $parent: ID) {
                    do: createPost(input: {body: $body, inReplyToId: $parent}) {
                        post { newId: id body isReply repliesCount inReplyTo { id repliesCount }
                            viewerHasBookmarked viewerCanDelete viewerCanReply
                            mentions { user { username } start length } }
                        timelineEdge { reason } userErrors { code } } }";
                let parent = parent.as_ref().map(id);
                (document.to_owned(), json!({ "body": body, "parent": parent }))
            }
            Self::EditPost(post, body) => {
                let document = format!(
                    "mutation ($id: ID!, $body: String!) {{
                     do: editPost(input: {{id: $id, body: $body}}) {{ {POST_PAYLOAD} }} }}"
                );
                (document, json!({ "id": id(post), "body": body }))
            }
            Self::DeletePost(post) => {
                let document = "mutation ($id: ID!) { do: deletePost(id: $id) {
                    changed deletedPostId userErrors { code } } }";
                (document.to_owned(), json!({ "id": id(post) }))
            }
            Self::React(reaction, post) => {
                let field = reaction.field();
                let document = format!(
                    "mutation ($id: ID!) {{ do: {field}(postId: $id) {{ {POST_PAYLOAD} }} }}"
                );
                (document, json!({ "id": id(post) }))
            }
            Self::MarkNotificationsRead(up_to) => {
                let document = "mutation ($id: ID) { do: markNotificationsRead(upTo: $id) {
                    changed viewer { unreadNotificationsCount(cap: 1000) } userErrors { code } } }";
                let id = up_to.as_ref().map(|(_, id)| id);
                (document.to_owned(), json!({ "id": id }))
            }
            Self::MarkTimelineRead(_, cursor) => {
                let document = "mutation ($cursor: String!) {
                    do: markTimelineRead(cursor: $cursor) {
                        changed timelineMarker userErrors { code } } }";
                (document.to_owned(), json!({ "cursor": cursor }))
            }
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
            Self::CreatePost(body, parent) => {
                let outcome = parent.map_or(Ok(()), |parent| graph.check_reply(viewer, parent));
                if outcome.is_ok() {
                    graph.add_post(viewer, new_id, body, *parent);
                }
                new_post(graph, viewer, outcome)
            }
            Self::EditPost(post, _) | Self::DeletePost(post)
                if graph.may_see_post(Some(viewer), *post)
                    && graph.posts[*post].author != viewer =>
            {
                error("FORBIDDEN")
            }
            Self::EditPost(post, body) => {
                let outcome = if graph.may_see_post(Some(viewer), *post) {
                    Ok(graph.edit_post(*post, body))
                } else {
                    Err("NOT_FOUND")
                };
                changed_post(graph, viewer, *post, outcome)
            }
            Self::DeletePost(post) => {
                let changed = graph.may_see_post(Some(viewer), *post);
                if changed {
                    graph.delete_post(*post);
                }
                let id = &graph.posts[*post].id;
                json!({ "changed": changed, "deletedPostId": id, "userErrors": [] })
            }
            Self::React(reaction, post) => {
                let outcome = reaction.apply(viewer, *post, graph);
                changed_post(graph, viewer, *post, outcome)
            }
            Self::MarkNotificationsRead(up_to) => {
                let up_to = up_to.as_ref().map(|(number, _)| *number);
                let changed = graph.mark_notices_read(viewer, up_to);
                let unread = graph.unread_count(viewer);
                json!({
                    "changed": changed,
                    "viewer": { "unreadNotificationsCount": unread },
                    "userErrors": [],
                })
            }
            Self::MarkTimelineRead(item, cursor) => {
                let changed = graph.mark_timeline_read(viewer, *item, cursor);
                let marker = &graph.markers[&viewer].1;
                json!({ "changed": changed, "timelineMarker": marker, "userErrors": [] })
            }
            Self::DeleteAccount => {
                graph.delete_user(viewer);
                json!({ "changed": true, "userErrors": [] })
            }
        }
    }
}

fn changed_post(graph: &Graph, viewer: usize, post: usize, outcome: Result<bool, Code>) -> Value {
    match outcome {
        Ok(changed) => post_payload(graph, viewer, post, changed),
        Err(code) => post_error(code),
    }
}
