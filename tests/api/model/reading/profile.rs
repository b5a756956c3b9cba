//! The profile of a user, its counts, and its lists without the timeline.

use serde_json::{Value, json};

use super::post::{POST, id_json, post_json};
use super::{Reader, users};
use crate::model::action::RELATIONSHIP;
use crate::model::graph::{Graph, name};

/// Compares the profile of a user, its counts, and its lists without the timeline.
pub async fn check_profile(graph: &Graph, reader: &Reader<'_>, target: usize) {
    let entries = "totalCount edges { repostedAt node { id } }";
    let document = format!(
        "query ($by: UserBy!) {{ user(by: $by) {{
            username followersCount followingCount postsCount isProtected isViewer
            viewerCanSee viewerCanFollow viewerIsFollowing isFollowingViewer
            viewerRelationship {{ {RELATIONSHIP} followedAt followedByAt }}
            posts(first: 100) {{ totalCount nodes {{ {POST} }} }}
            original: posts(first: 100, filter: {{replies: false}}) {{ {entries} }}
            withReposts: posts(first: 100, filter: {{reposts: true}}) {{ {entries} }}
            originalWithReposts: posts(first: 100, filter: {{replies: false, reposts: true}}) {{
                {entries} }}
            followers(first: 50) {{ totalCount nodes {{ username }} edges {{ isMutual }} }}
            following(first: 50) {{ totalCount nodes {{ username }} edges {{ isMutual }} }} }} }}"
    );
    let mut data =
        reader.client.run(&document, json!({ "by": { "username": name(target) } })).await;
    let actual = &mut data["user"];
    let what = format!("the profile of {}", name(target));
    if !graph.users.contains(&target) {
        reader.check(&what, actual, &Value::Null);
        return;
    }
    replace_times(&mut actual["viewerRelationship"], &what);
    for list in ["original", "withReposts", "originalWithReposts"] {
        for edge in actual[list]["edges"].as_array_mut().unwrap() {
            edge["repostedAt"] = json!(edge["repostedAt"].is_string());
        }
    }
    reader.check(&what, actual, &expected_profile(graph, reader.user, target));
}

/// Removes the times of the follows of a relationship.
///
/// A time must be null exactly if there is no such follow.
fn replace_times(relationship: &mut Value, context: &str) {
    let Some(fields) = relationship.as_object_mut() else { return };
    let has_time = |time: Option<Value>| time.is_some_and(|time| time.is_string());
    let followed = has_time(fields.remove("followedAt"));
    let followed_by = has_time(fields.remove("followedByAt"));
    assert_eq!(followed, fields["followState"] == "FOLLOWING", "followedAt of {context}");
    assert_eq!(followed_by, fields["followedBy"] == true, "followedByAt of {context}");
}

fn expected_profile(graph: &Graph, viewer: Option<usize>, target: usize) -> Value {
    let (followers, following) = (graph.follows.before(target), graph.follows.after(target));
    let posts = graph.posts_of(target);
    let may_see = graph.may_see(viewer, target);
    let visible = |list: &[usize]| if may_see { list.to_vec() } else { vec![] };
    let user_list = |list: &[usize]| {
        let list = visible(list);
        let is_mutual = |other: &usize| {
            graph.follows.contains(target, *other) && graph.follows.contains(*other, target)
        };
        let edges = list.iter().map(|other| json!({ "isMutual": is_mutual(other) }));
        let edges: Vec<Value> = edges.collect();
        let mut connection = users(&list);
        connection["edges"] = json!(edges);
        connection
    };
    let nodes = visible(&posts).into_iter().map(|post| post_json(graph, viewer, post));
    let nodes: Vec<Value> = nodes.collect();
    let entries = |kinds: (bool, bool)| {
        let items = graph.items_of(target, viewer, kinds);
        let first = items.iter().take(100).map(|item| {
            let item = &graph.feed[*item];
            json!({ "repostedAt": item.is_repost, "node": id_json(graph, item.post) })
        });
        json!({ "totalCount": items.len(), "edges": first.collect::<Vec<Value>>() })
    };
    let other = viewer.filter(|viewer| *viewer != target);
    let is = |condition: &dyn Fn(usize) -> bool| other.is_some_and(condition);
    json!({
        "username": name(target),
        "followersCount": followers.len(),
        "followingCount": following.len(),
        "postsCount": posts.len(),
        "isProtected": graph.protected.contains(&target),
        "isViewer": viewer == Some(target),
        "viewerCanSee": may_see,
        "viewerCanFollow": is(&|viewer| !graph.is_blocked(viewer, target)),
        "viewerIsFollowing": is(&|viewer| graph.follows.contains(viewer, target)),
        "isFollowingViewer": is(&|viewer| graph.follows.contains(target, viewer)),
        "viewerRelationship": other.map(|viewer| graph.relationship(viewer, target)),
        "posts": { "totalCount": nodes.len(), "nodes": nodes },
        "original": entries((false, false)),
        "withReposts": entries((true, true)),
        "originalWithReposts": entries((false, true)),
        "followers": user_list(&followers),
        "following": user_list(&following),
    })
}
