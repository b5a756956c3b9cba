//! Pagination of every connection.
//!
//! All pages joined are the whole list, in both directions and with any page size. `PageInfo` is
//! accurate. A cursor stays valid when rows are inserted or deleted. Page sizes and cursors are
//! validated.

use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

/// The JSON pointer, a document and a node's field for each connection.
///
/// In the document, `PAGE` stands for the arguments of the connection, and `BODY` for its
/// selection. The field names a node.
const CONNECTIONS: [(&str, &str, &str); 18] = [
    ("/users", "{ users(PAGE) { BODY } }", "username"),
    ("/posts", "{ posts(PAGE) { BODY } }", "body"),
    ("/searchPosts", "{ searchPosts(query: \"post\", PAGE) { BODY } }", "body"),
    ("/user/posts", "{ user(by: {username: \"john\"}) { posts(PAGE) { BODY } } }", "body"),
    (
        "/user/followers",
        "{ user(by: {username: \"john\"}) { followers(PAGE) { BODY } } }",
        "username",
    ),
    (
        "/user/following",
        "{ user(by: {username: \"john\"}) { following(PAGE) { BODY } } }",
        "username",
    ),
    ("/user/timeline", "{ user(by: {username: \"john\"}) { timeline(PAGE) { BODY } } }", "body"),
    ("/viewer/bookmarks", "{ viewer { bookmarks(PAGE) { BODY } } }", "body"),
    ("/viewer/likes", "{ viewer { likes(PAGE) { BODY } } }", "body"),
    (
        "/viewer/user/posts/nodes/0/likers",
        "{ viewer { user { posts(first: 1) { nodes { likers(PAGE) { BODY } } } } } }",
        "username",
    ),
    (
        "/viewer/user/posts/nodes/0/reposters",
        "{ viewer { user { posts(first: 1) { nodes { reposters(PAGE) { BODY } } } } } }",
        "username",
    ),
    ("/viewer/notifications", "{ viewer { notifications(PAGE) { BODY } } }", "id"),
    ("/viewer/blockedUsers", "{ viewer { blockedUsers(PAGE) { BODY } } }", "username"),
    ("/viewer/mutedUsers", "{ viewer { mutedUsers(PAGE) { BODY } } }", "username"),
    (
        "/user/knownFollowers",
        "{ user(by: {username: \"star\"}) { knownFollowers(PAGE) { BODY } } }",
        "username",
    ),
    (
        "/viewer/user/posts/nodes/0/replies",
        "{ viewer { user { posts(first: 1) { nodes { replies(PAGE) { BODY } } } } } }",
        "body",
    ),
    ("/viewer/followRequests", "{ viewer { followRequests(PAGE) { BODY } } }", "username"),
    ("/viewer/sentFollowRequests", "{ viewer { sentFollowRequests(PAGE) { BODY } } }", "username"),
];

#[test]
fn connections_lists_every_connection_of_the_schema() {
    let sdl = include_str!("../../schema.graphql");
    let fields = sdl.lines().filter(|line| line.contains("): ") && line.ends_with("Connection!"));
    assert_eq!(fields.count(), CONNECTIONS.len(), "add the new connection to CONNECTIONS");
}

/// Registers john with 11 posts and 7 entries in each other list.
async fn fill(app: &TestApp) -> Actor<'_> {
    let john = app.register("john").await;
    for n in 0..7 {
        let friend = app.register(&format!("friend_{n}")).await;
        friend.follow(&john).await;
        john.follow(&friend).await;
        app.register(&format!("foe_{n}")).await;
        for verb in ["block", "mute"] {
            let field = format!("{verb}(user: {{username: \"foe_{n}\"}}) {{ changed }}");
            john.mutate(&field).await;
        }
        let protected = app.register(&format!("protected_{n}")).await;
        protected.protect(true).await;
        john.follow(&protected).await;
        app.register(&format!("requester_{n}")).await;
        let post = if n % 2 == 0 { &friend } else { &john };
        let id = post.write(&format!("post {n}")).await;
        john.write(&format!("own post {n}")).await;
        for verb in ["bookmark", "like"] {
            john.mutate(&format!("{verb}(postId: \"{id}\") {{ changed }}")).await;
        }
    }
    let newest = john.write("own post 7").await;
    for n in 0..7 {
        app.imported(&format!("friend_{n}")).await.reply(&newest, &format!("reply {n}")).await;
    }
    let star = app.register("star").await;
    let stars = star.write("star's post").await;
    for n in 0..7 {
        let friend = app.imported(&format!("friend_{n}")).await;
        friend.follow(&star).await;
        friend.mutate(&format!("like(postId: \"{newest}\") {{ changed }}")).await;
        for post in [&newest, &stars] {
            friend.mutate(&format!("repost(postId: \"{post}\") {{ changed }}")).await;
        }
    }
    // Requests to follow john outlast his protection.
    john.protect(true).await;
    for n in 0..7 {
        app.imported(&format!("requester_{n}")).await.follow(&john).await;
    }
    john.protect(false).await;
    john
}

/// Requests one page, and checks its cursors and nodes against its edges.
async fn page(viewer: &Actor<'_>, template: &str, path: &str, field: &str, page: &str) -> Value {
    let body = format!(
        "edges {{ cursor node {{ {field} }} }} nodes {{ {field} }}
         pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}"
    );
    let document = template.replace("PAGE", page).replace("BODY", &body);
    let data = viewer.query(&document).await;
    let connection = data.pointer(path).unwrap().clone();
    let cursors = texts(&connection["edges"], "cursor");
    assert_eq!(connection["pageInfo"]["startCursor"], json!(cursors.first()));
    assert_eq!(connection["pageInfo"]["endCursor"], json!(cursors.last()));
    let nodes: Vec<&Value> =
        connection["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]).collect();
    assert_eq!(connection["nodes"], json!(nodes));
    connection
}

#[tokio::test]
async fn all_pages_joined_are_the_whole_list_both_ways() {
    let app = TestApp::new().await;
    let john = fill(&app).await;
    for (path, template, field) in CONNECTIONS {
        let whole = page(&john, template, path, field, "first: 100").await;
        let whole = texts(&whole["nodes"], field);
        assert!(whole.len() >= 7, "{path} has {}", whole.len());
        for size in [1, 2, 3, whole.len() - 1, whole.len(), 100] {
            for forward in [true, false] {
                let joined = read_all_pages(&john, (path, template, field), size, forward).await;
                assert_eq!(joined, whole, "{path} by {size}, forward: {forward}");
            }
        }
    }
}

/// Reads a list page by page, and checks `PageInfo` at each step.
async fn read_all_pages(
    viewer: &Actor<'_>,
    (path, template, field): (&str, &str, &str),
    size: usize,
    forward: bool,
) -> Vec<String> {
    let (size_argument, cursor_argument, end, has_more, has_read) = if forward {
        ("first", "after", "endCursor", "hasNextPage", "hasPreviousPage")
    } else {
        ("last", "before", "startCursor", "hasPreviousPage", "hasNextPage")
    };
    let mut joined: Vec<String> = vec![];
    let mut cursor = String::new();
    loop {
        let arguments = format!("{size_argument}: {size}{cursor}");
        let connection = page(viewer, template, path, field, &arguments).await;
        let rows = texts(&connection["nodes"], field);
        let info = &connection["pageInfo"];
        assert_eq!(info[has_read], !joined.is_empty(), "{path} {arguments}");
        if forward {
            joined.extend(rows.clone());
        } else {
            joined.splice(..0, rows.clone()).for_each(drop);
        }
        if info[has_more] == false {
            return joined;
        }
        assert_eq!(rows.len(), size, "a page before the last one is full: {path} {arguments}");
        cursor = format!(", {cursor_argument}: {}", info[end]);
    }
}

#[tokio::test]
async fn total_count_is_the_length_of_the_list() {
    let app = TestApp::new().await;
    let john = fill(&app).await;
    for (path, template, field) in CONNECTIONS {
        if ["timeline", "notifications", "searchPosts"].iter().any(|list| path.ends_with(list)) {
            continue;
        }
        let body = format!("totalCount nodes {{ {field} }}");
        let document = template.replace("PAGE", "first: 100").replace("BODY", &body);
        let data = john.query(&document).await;
        let connection = data.pointer(path).unwrap();
        assert_eq!(
            connection["totalCount"],
            connection["nodes"].as_array().unwrap().len(),
            "{path}"
        );
    }
    let prefixed = john
        .query(
            "{ users(usernamePrefix: \"FRIEND_\", last: 2) { totalCount nodes { username }
            pageInfo { hasNextPage hasPreviousPage } }
            none: users(usernamePrefix: \"friend%\") { totalCount nodes { username } } }",
        )
        .await;
    assert_eq!(prefixed["users"]["totalCount"], 7);
    assert_eq!(texts(&prefixed["users"]["nodes"], "username"), ["friend_5", "friend_6"]);
    let info = json!({ "hasNextPage": false, "hasPreviousPage": true });
    assert_eq!(prefixed["users"]["pageInfo"], info);
    assert_eq!(prefixed["none"], json!({ "totalCount": 0, "nodes": [] }));
}

#[tokio::test]
async fn page_sizes_out_of_range_and_cursors_of_other_lists_are_rejected() {
    let app = TestApp::new().await;
    let john = fill(&app).await;
    let mut cursors = vec![];
    for (path, template, field) in CONNECTIONS {
        let error = async |arguments: &str| {
            let document =
                template.replace("PAGE", arguments).replace("BODY", "pageInfo { endCursor }");
            john.error(&document).await
        };
        for size in ["first: 0", "first: -1", "first: 101", "last: 0", "first: 1, last: 1"] {
            assert_eq!(error(size).await, "PAGE_SIZE_OUT_OF_RANGE", "{path} {size}");
        }
        for cursor in ["", "nonsense", "AAAA", "\u{1F426}"] {
            let error = error(&format!("after: {}", json!(cursor))).await;
            assert_eq!(error, "INVALID_CURSOR", "{path} {cursor}");
        }
        let connection = page(&john, template, path, field, "first: 3").await;
        let info = &connection["pageInfo"];
        for (after, before) in [("endCursor", "startCursor"), ("endCursor", "endCursor")] {
            for size in ["first", "last"] {
                let (after, before) = (&info[after], &info[before]);
                let arguments = format!("{size}: 3, after: {after}, before: {before}");
                assert_eq!(error(&arguments).await, "INVALID_CURSOR", "{path} {arguments}");
            }
        }
        cursors.push((path, connection["pageInfo"]["endCursor"].clone()));
    }
    for (path, template, _) in CONNECTIONS {
        for (other, cursor) in &cursors {
            let document = template
                .replace("PAGE", &format!("before: {cursor}"))
                .replace("BODY", "pageInfo { endCursor }");
            let is_rejected = john.execute(&document, json!({})).await.get("errors").is_some();
            assert_eq!(is_rejected, path != *other, "a cursor of {other} at {path}");
        }
    }
    let document = "{ users(first: 101) { totalCount } }";
    let error = &john.execute(document, json!({})).await["errors"][0];
    assert_eq!(error["extensions"]["min"], 1);
    assert_eq!(error["extensions"]["max"], 100);
}

#[tokio::test]
async fn a_cursor_stays_valid_after_inserts_and_deletes() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let mut ids = vec![];
    for n in 0..6 {
        ids.push(john.write(&format!("post {n}")).await);
    }
    let template = "{ viewer { user { timeline(PAGE) { BODY } } } }";
    let path = "/viewer/user/timeline";
    let first = page(&john, template, path, "body", "first: 2").await;
    assert_eq!(texts(&first["nodes"], "body"), ["post 5", "post 4"]);
    let cursor = &first["pageInfo"]["endCursor"];
    john.write("post 6").await;
    john.mutate(&format!("deletePost(id: \"{}\") {{ changed }}", ids[4])).await;
    let second = page(&john, template, path, "body", &format!("first: 2, after: {cursor}")).await;
    assert_eq!(texts(&second["nodes"], "body"), ["post 3", "post 2"]);
    let newer = page(&john, template, path, "body", &format!("last: 5, before: {cursor}")).await;
    assert_eq!(texts(&newer["nodes"], "body"), ["post 6", "post 5"]);
    assert_eq!(newer["pageInfo"]["hasNextPage"], true);
    assert_eq!(newer["pageInfo"]["hasPreviousPage"], false);
    for id in &ids {
        john.mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
    }
    let after = page(&john, template, path, "body", &format!("first: 2, after: {cursor}")).await;
    assert_eq!(after["nodes"], json!([]));
    assert_eq!(after["pageInfo"]["hasNextPage"], false);
    assert_eq!(after["pageInfo"]["hasPreviousPage"], true, "post 6 is still there");
}
