//! The viewer's own lists, the public lists, and searches.

use serde_json::{Value, json};

use super::post::{brief_json, id_json};
use super::{Reader, user_nodes, users};
use crate::model::graph::{Filter, Graph, Query, name};

/// What a viewer searches for.
#[derive(Debug)]
pub struct Search {
    pub posts: Query,
    /// The author of the posts of a second search.
    pub author: usize,
    pub users: String,
}

const LISTS: &str = "query ($marker: String, $words: String!, $by: UserBy!, $names: String!) {
    viewer {
        blockedUsers(first: 100) { totalCount nodes { username } }
        mutedUsers(first: 100) { totalCount nodes { username } }
        followRequests(first: 100) { totalCount nodes { username } }
        sentFollowRequests(first: 100) { totalCount nodes { username } }
        bookmarks(first: 100) { totalCount nodes { id body author { username } } }
        likes(first: 100) { totalCount nodes { id body author { username } } }
        unreadNotificationsCount(cap: 1000)
        notifications(first: 100) { nodes { type isRead actor { username } post { id } } }
        reactions: notifications(first: 100, types: [REPOST, LIKE]) {
            nodes { type isRead actor { username } post { id } } }
        timelineMarker
        user { unread: timeline(last: 1, before: $marker) {
            newerCount(cap: 1000) nodes { id } } }
    }
    posts(first: 100) { totalCount nodes { id body author { username } } }
    users(first: 100) { totalCount nodes { username } }
    foundPosts: searchPosts(query: $words, first: 50) { nodes { id } pageInfo { hasNextPage } }
    foundOfAuthor: searchPosts(query: $words, by: $by, first: 50) {
        nodes { id } pageInfo { hasNextPage } }
    foundUsers: searchUsers(query: $names, first: 50) { username }
}";

/// Compares the viewer's own lists, the public lists, and the results of searches.
pub async fn check_lists(graph: &Graph, reader: &Reader<'_>, search: &Search) {
    let found = |author: Option<usize>| {
        let posts = graph.posts_found(&search.posts, reader.user, author);
        let first = posts.iter().take(50).map(|post| id_json(graph, *post));
        let page_info = json!({ "hasNextPage": posts.len() > 50 });
        json!({ "nodes": first.collect::<Vec<Value>>(), "pageInfo": page_info })
    };
    let all: Vec<usize> = graph.users.iter().copied().collect();
    let expected = json!({
        "viewer": reader.user.map(|user| own_lists(graph, user)),
        "posts": posts(graph, &graph.public_posts()),
        "users": users(&all),
        "foundPosts": found(None),
        "foundOfAuthor": found(Some(search.author)),
        "foundUsers": user_nodes(&graph.users_found(&search.users)),
    });
    let marker = reader.user.and_then(|user| graph.markers.get(&user));
    let variables = json!({
        "marker": marker.map(|(_, cursor)| cursor),
        "words": search.posts.text(),
        "by": { "username": name(search.author) },
        "names": search.users,
    });
    let actual = reader.client.run(LISTS, variables).await;
    reader.check(&format!("lists and {search:?}"), &actual, &expected);
}

/// The first 100 of these posts.
fn posts(graph: &Graph, posts: &[usize]) -> Value {
    let first = posts.iter().take(100);
    let nodes: Vec<Value> = first.map(|post| brief_json(graph, *post)).collect();
    json!({ "totalCount": posts.len(), "nodes": nodes })
}

/// The fields of `viewer`.
fn own_lists(graph: &Graph, user: usize) -> Value {
    let notices: Vec<Value> =
        graph.notices_of(user).into_iter().map(|number| graph.notice_json(number)).collect();
    let is_reaction = |notice: &&Value| notice["type"] == "LIKE" || notice["type"] == "REPOST";
    let reactions = notices.iter().filter(is_reaction).take(100);
    let marker = graph.markers.get(&user);
    json!({
        "blockedUsers": users(&graph.blocks.after(user)),
        "mutedUsers": users(&graph.mutes.after(user)),
        "followRequests": users(&graph.requests.before(user)),
        "sentFollowRequests": users(&graph.requests.after(user)),
        "bookmarks": posts(graph, &graph.bookmarks_of(user)),
        "likes": posts(graph, &graph.likes_of(user)),
        "unreadNotificationsCount": graph.unread_count(user),
        "notifications": { "nodes": notices.iter().take(100).collect::<Vec<_>>() },
        "reactions": { "nodes": reactions.collect::<Vec<_>>() },
        "timelineMarker": marker.map(|(_, cursor)| cursor),
        "user": { "unread": unread_entries(graph, user) },
    })
}

/// The oldest entry of a timeline that is newer than the marker.
///
/// With the number of entries that are newer than this one.
fn unread_entries(graph: &Graph, user: usize) -> Value {
    let marker = graph.markers.get(&user).map(|(item, _)| *item);
    let mut newer = graph.timeline(user, Some(user), Filter::ALL);
    newer.retain(|item| marker.is_none_or(|marker| *item > marker));
    let oldest = newer.last().map(|item| id_json(graph, graph.feed[*item].post));
    let nodes: Vec<Value> = oldest.into_iter().collect();
    json!({ "newerCount": newer.len().saturating_sub(1), "nodes": nodes })
}
