//! Posts with their reactions and their conversations.

use serde_json::{Value, json};

use super::{Reader, users};
use crate::model::graph::{Graph, name};

/// The fields of a post that [`post_json`] has.
///
/// The lists have space for all users.
pub const POST: &str = "id body author { username } mentions { user { username } start length }
    likesCount viewerHasLiked likers(first: 30) { totalCount nodes { username } }
    repostsCount viewerHasReposted reposters(first: 30) { totalCount nodes { username } }
    viewerHasBookmarked viewerCanDelete viewerCanReply isReply inReplyTo { id } repliesCount";

/// A post that a viewer may see.
pub fn post_json(graph: &Graph, viewer: Option<usize>, post: usize) -> Value {
    let is = |condition: &dyn Fn(usize) -> bool| viewer.is_some_and(condition);
    let (likers, reposters) = (graph.likes.before(post), graph.reposters(post));
    let mut json = brief_json(graph, post);
    json["mentions"] = json!(graph.mentions_json(post));
    json["likesCount"] = json!(likers.len());
    json["likers"] = users(&likers);
    json["viewerHasLiked"] = json!(is(&|viewer| likers.contains(&viewer)));
    json["repostsCount"] = json!(reposters.len());
    json["reposters"] = users(&reposters);
    json["viewerHasReposted"] = json!(is(&|viewer| reposters.contains(&viewer)));
    json["viewerHasBookmarked"] = json!(is(&|viewer| graph.bookmarks.contains(viewer, post)));
    json["viewerCanDelete"] = json!(viewer == Some(graph.posts[post].author));
    json["viewerCanReply"] = json!(graph.may_reply(viewer, post));
    json["isReply"] = json!(graph.posts[post].parent.is_some());
    json["inReplyTo"] = json!(graph.parent(post, viewer).map(|parent| id_json(graph, parent)));
    json["repliesCount"] = json!(graph.replies_count(post));
    json
}

/// The fields of a post in most lists.
pub fn brief_json(graph: &Graph, post: usize) -> Value {
    let post = &graph.posts[post];
    json!({ "id": post.id, "body": post.body, "author": { "username": name(post.author) } })
}

pub fn id_json(graph: &Graph, post: usize) -> Value {
    json!({ "id": graph.posts[post].id })
}

/// A post with its conversation, or `None` if the viewer may not see it.
fn node(graph: &Graph, viewer: Option<usize>, post: usize) -> Option<Value> {
    if !graph.may_see_post(viewer, post) {
        return None;
    }
    let ids = |posts: &[usize]| -> Vec<Value> {
        posts.iter().map(|post| id_json(graph, *post)).collect()
    };
    let replies = graph.replies(post, viewer);
    let first = &replies[..replies.len().min(10)];
    let mut node = post_json(graph, viewer, post);
    node["ancestors"] = json!(ids(&graph.ancestors(post, viewer)));
    node["replies"] = json!({ "totalCount": replies.len(), "nodes": ids(first) });
    Some(node)
}

/// Compares single posts, among them deleted ones.
pub async fn check_nodes(graph: &Graph, reader: &Reader<'_>) {
    let post = format!(
        "... on Post {{ {POST} ancestors {{ id }}
         replies(first: 10) {{ totalCount nodes {{ id }} }} }}"
    );
    let document = format!(
        "query ($ids: [ID!]!, $id: ID!) {{ nodes(ids: $ids) {{ {post} }} node(id: $id) {{ {post} }}
         }}"
    );
    // At most 50 posts of all ages.
    let posts: Vec<usize> = (0..graph.posts.len()).step_by(graph.posts.len() / 50 + 1).collect();
    let Some(last) = posts.last() else { return };
    let ids: Vec<&str> = posts.iter().map(|post| graph.posts[*post].id.as_str()).collect();
    let nodes: Vec<Option<Value>> =
        posts.iter().map(|post| node(graph, reader.user, *post)).collect();
    let expected = json!({ "nodes": nodes, "node": node(graph, reader.user, *last) });
    let actual = reader.client.run(&document, json!({ "ids": ids, "id": ids.last() })).await;
    reader.check("single posts", &actual, &expected);
}
