//! Everything that a viewer can read, compared with the model.

use serde_json::{Value, json};

use super::action::RELATIONSHIP;
use super::graph::{Graph, name};
use crate::support::actors::Actor;

/// A viewer of a user.
pub struct Reader<'a> {
    /// What the viewer is to the user.
    pub kind: &'static str,
    /// `None` for an anonymous client.
    pub user: Option<usize>,
    pub client: Actor<'a>,
}

impl Reader<'_> {
    /// The context of a failed comparison.
    fn describe(&self, what: &str) -> String {
        format!("{what}, read by {} {}", self.kind, self.client.username)
    }
}

/// The list of users in a connection without cursors.
fn users(users: &[usize]) -> Value {
    let nodes: Vec<Value> = users.iter().map(|user| json!({ "username": name(*user) })).collect();
    json!({ "totalCount": users.len(), "nodes": nodes })
}

/// Compares the profile of a user, its counts, and its lists without the timeline.
pub async fn check_profile(graph: &Graph, reader: &Reader<'_>, target: usize) {
    let document = format!(
        "query ($by: UserBy!) {{ user(by: $by) {{
            username followersCount followingCount postsCount isProtected isViewer
            viewerCanSee viewerCanFollow viewerIsFollowing isFollowingViewer
            viewerRelationship {{ {RELATIONSHIP} followedAt followedByAt }}
            posts(first: 100) {{ totalCount nodes {{
                id body author {{ username }} viewerHasBookmarked viewerCanDelete
                likesCount viewerHasLiked likers(first: 50) {{ totalCount nodes {{ username }} }}
            }} }}
            followers(first: 50) {{ totalCount nodes {{ username }} edges {{ isMutual }} }}
            following(first: 50) {{ totalCount nodes {{ username }} edges {{ isMutual }} }} }} }}"
    );
    let mut data =
        reader.client.run(&document, json!({ "by": { "username": name(target) } })).await;
    let actual = &mut data["user"];
    let context = reader.describe(&format!("the profile of {}", name(target)));
    if !graph.users.contains(&target) {
        assert_eq!(*actual, Value::Null, "{context}");
        return;
    }
    check_times(&mut actual["viewerRelationship"], &context);
    assert_eq!(*actual, expected_profile(graph, reader.user, target), "{context}");
}

/// Removes the times of the follows of a relationship.
///
/// A time must be null exactly if there is no such follow.
fn check_times(relationship: &mut Value, context: &str) {
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
    let nodes = visible(&posts).into_iter().map(|post| {
        let mut node = post_json(graph, post);
        let has_bookmarked = |viewer| graph.bookmarks.contains(viewer, post);
        node["viewerHasBookmarked"] = json!(viewer.is_some_and(has_bookmarked));
        let likers = graph.likes.before(post);
        node["likesCount"] = json!(likers.len());
        node["likers"] = users(&likers);
        node["viewerHasLiked"] = json!(viewer.is_some_and(|viewer| likers.contains(&viewer)));
        node["viewerCanDelete"] = json!(viewer == Some(target));
        node
    });
    let nodes: Vec<Value> = nodes.collect();
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
        "followers": user_list(&followers),
        "following": user_list(&following),
    })
}

/// The fields of a post that are the same for all viewers.
fn post_json(graph: &Graph, post: usize) -> Value {
    let post = &graph.posts[post];
    json!({ "id": post.id, "body": post.body, "author": { "username": name(post.author) } })
}

const TIMELINE_PAGE: &str = "query (
    $by: UserBy!, $first: Int, $after: String, $last: Int, $before: String
) { user(by: $by) { timeline(first: $first, after: $after, last: $last, before: $before) {
    newerCount(cap: 1000) edges { reason } nodes { id body author { username } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";

/// Compares all pages of a timeline, in both directions.
pub async fn check_timeline(graph: &Graph, reader: &Reader<'_>, target: usize, size: usize) {
    let all = graph.timeline(target, reader.user);
    for is_forward in [true, false] {
        let mut range = if is_forward {
            0..size.min(all.len())
        } else {
            all.len().saturating_sub(size)..all.len()
        };
        let mut cursor = Value::Null;
        loop {
            let by = json!({ "username": name(target) });
            let variables = if is_forward {
                json!({ "by": by, "first": size, "after": cursor })
            } else {
                json!({ "by": by, "last": size, "before": cursor })
            };
            let mut data = reader.client.run(TIMELINE_PAGE, variables).await;
            let mut page = data["user"]["timeline"].take();
            let info = page["pageInfo"].as_object_mut().unwrap();
            let end = if is_forward { "endCursor" } else { "startCursor" };
            cursor = info[end].clone();
            for name in ["startCursor", "endCursor"] {
                info.remove(name);
            }
            let what =
                format!("posts {range:?} of {} in the timeline of {}", all.len(), name(target));
            let context = reader.describe(&what);
            let posts = &all[range.clone()];
            assert_eq!(
                page,
                expected_page(graph, target, posts, (range.start, all.len())),
                "{context}"
            );
            let is_last = if is_forward { range.end == all.len() } else { range.start == 0 };
            if is_last {
                break;
            }
            range = if is_forward {
                range.end..(range.end + size).min(all.len())
            } else {
                range.start.saturating_sub(size)..range.start
            };
        }
    }
}

/// A page of the timeline of `owner` after `newer` of `all` posts, without cursors.
fn expected_page(
    graph: &Graph,
    owner: usize,
    posts: &[usize],
    (newer, all): (usize, usize),
) -> Value {
    let reason =
        |post: &usize| if graph.posts[*post].author == owner { "OWN" } else { "FOLLOWING" };
    let edges: Vec<Value> = posts.iter().map(|post| json!({ "reason": reason(post) })).collect();
    let nodes: Vec<Value> = posts.iter().map(|post| post_json(graph, *post)).collect();
    let page_info =
        json!({ "hasNextPage": newer + posts.len() < all, "hasPreviousPage": newer > 0 });
    json!({ "newerCount": newer, "edges": edges, "nodes": nodes, "pageInfo": page_info })
}

const LISTS: &str = "{
    viewer {
        blockedUsers(first: 100) { totalCount nodes { username } }
        mutedUsers(first: 100) { totalCount nodes { username } }
        followRequests(first: 100) { totalCount nodes { username } }
        sentFollowRequests(first: 100) { totalCount nodes { username } }
        bookmarks(first: 100) { totalCount nodes { id body author { username } } }
        likes(first: 100) { totalCount nodes { id body author { username } } }
    }
    posts(first: 100) { totalCount nodes { id body author { username } } }
    users(first: 100) { totalCount nodes { username } }
}";

/// Compares the viewer's own lists, the public posts, and the directory of users.
pub async fn check_lists(graph: &Graph, reader: &Reader<'_>) {
    let posts = |posts: &[usize]| {
        let first = posts.iter().take(100);
        let nodes: Vec<Value> = first.map(|post| post_json(graph, *post)).collect();
        json!({ "totalCount": posts.len(), "nodes": nodes })
    };
    let viewer = reader.user.map(|user| {
        json!({
            "blockedUsers": users(&graph.blocks.after(user)),
            "mutedUsers": users(&graph.mutes.after(user)),
            "followRequests": users(&graph.requests.before(user)),
            "sentFollowRequests": users(&graph.requests.after(user)),
            "bookmarks": posts(&graph.bookmarks_of(user)),
            "likes": posts(&graph.likes_of(user)),
        })
    });
    let all: Vec<usize> = graph.users.iter().copied().collect();
    let expected = json!({
        "viewer": viewer,
        "posts": posts(&graph.public_posts()),
        "users": users(&all),
    });
    let actual = reader.client.run(LISTS, json!({})).await;
    assert_eq!(actual, expected, "{}", reader.describe("lists"));
}

/// Compares single posts, among them deleted ones.
pub async fn check_nodes(graph: &Graph, reader: &Reader<'_>) {
    let document = "query ($ids: [ID!]!, $id: ID!) {
        nodes(ids: $ids) { ... on Post { id body author { username } } }
        node(id: $id) { ... on Post { id body author { username } } } }";
    // At most 50 posts of all ages.
    let posts: Vec<usize> = (0..graph.posts.len()).step_by(graph.posts.len() / 50 + 1).collect();
    let Some(last) = posts.last() else { return };
    let ids: Vec<&str> = posts.iter().map(|post| graph.posts[*post].id.as_str()).collect();
    let node =
        |post: &usize| graph.may_see_post(reader.user, *post).then(|| post_json(graph, *post));
    let nodes: Vec<Option<Value>> = posts.iter().map(node).collect();
    let expected = json!({ "nodes": nodes, "node": node(last) });
    let actual = reader.client.run(document, json!({ "ids": ids, "id": ids.last() })).await;
    assert_eq!(actual, expected, "{}", reader.describe("nodes"));
}
