//! Reposts in `User.posts`: order, pages, cursors, counts and visibility.

use serde_json::{Value, json};

use super::change;
use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// All filters, from the default to the longest list.
const FILTERS: [&str; 4] = [
    "{replies: true, reposts: false}",
    "{replies: false}",
    "{replies: false, reposts: true}",
    "{reposts: true}",
];

/// A page of the posts of a user, for a viewer.
async fn page(viewer: &Actor<'_>, user: &str, arguments: &str) -> Value {
    let document = format!(
        "{{ user(by: {{username: \"{user}\"}}) {{ posts({arguments}) {{ totalCount nodes {{ body }}
         edges {{ cursor repostedAt node {{ body author {{ username }} }} }}
         pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
    );
    viewer.query(&document).await["user"]["posts"].take()
}

/// The entries of a page: the body of a post, and of a repost also the author.
fn entries(page: &Value) -> Vec<String> {
    let edges = page["edges"].as_array().unwrap();
    let entry = |(edge, node): (&Value, &Value)| {
        let (body, author) = (&edge["node"]["body"], &edge["node"]["author"]["username"]);
        assert_eq!(*body, node["body"]);
        let (body, author) = (body.as_str().unwrap(), author.as_str().unwrap());
        if edge["repostedAt"].is_string() { format!("{body} of {author}") } else { body.to_owned() }
    };
    edges.iter().zip(page["nodes"].as_array().unwrap()).map(entry).collect()
}

/// All entries with a filter. `totalCount` must be their number.
async fn all(viewer: &Actor<'_>, user: &str, filter: &str) -> Vec<String> {
    let page = page(viewer, user, &format!("first: 100, filter: {filter}")).await;
    let entries = entries(&page);
    assert_eq!(page["totalCount"], entries.len(), "{filter}");
    entries
}

#[tokio::test]
async fn reposts_are_in_the_list_at_the_place_of_their_time_on_request() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let susans = susan.write("susan's").await;
    let reply = mary.reply(&susans, "mary's").await;
    let one = john.write("one").await;
    assert!(change("repost", john, &susans).await);
    john.reply(&susans, "two").await;
    assert!(change("repost", john, &one).await);
    assert!(change("repost", susan, &one).await);
    assert!(change("repost", john, &reply).await);
    john.write("three").await;
    let reposts = ["mary's of mary", "one of john", "susan's of susan"];
    let expected: [&[&str]; 4] = [
        &["three", "two", "one"],
        &["three", "one"],
        &["three", reposts[0], reposts[1], reposts[2], "one"],
        &["three", reposts[0], reposts[1], "two", reposts[2], "one"],
    ];
    for (filter, expected) in FILTERS.iter().zip(expected) {
        for viewer in [john, susan, &app.anonymous()] {
            assert_eq!(all(viewer, "john", filter).await, expected, "{filter}");
        }
    }
    assert_eq!(entries(&page(john, "john", "first: 9").await), expected[0], "by default none");
    assert_eq!(all(john, "susan", FILTERS[3]).await, ["one of john", "susan's"]);

    assert!(change("unrepost", john, &one).await);
    let expected = ["three", reposts[0], reposts[2], "one"];
    assert_eq!(all(john, "john", FILTERS[2]).await, expected);
    john.mutate(&format!("deletePost(id: \"{one}\") {{ changed }}")).await;
    assert_eq!(all(john, "john", FILTERS[2]).await, ["three", reposts[0], reposts[2]]);
    assert_eq!(all(john, "susan", FILTERS[3]).await, ["susan's"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// Susan becomes protected. Mary follows her, and David does not.
#[tokio::test]
async fn reposts_of_hidden_posts_and_lists_of_hidden_users_are_left_out() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    mary.follow(susan).await;
    let (hidden, open) = (susan.write("hidden").await, mary.write("open").await);
    john.write("john's").await;
    for post in [&hidden, &open] {
        assert!(change("repost", john, post).await);
    }
    let everything = ["open of mary", "hidden of susan", "john's"];
    assert_eq!(all(david, "john", FILTERS[3]).await, everything);
    susan.protect(true).await;
    let anonymous = app.anonymous();
    for viewer in [david, john, &anonymous] {
        let rest = ["open of mary", "john's"];
        assert_eq!(all(viewer, "john", FILTERS[3]).await, rest, "{}", viewer.username);
        // The hidden entry is not counted before or after the others.
        let first = page(viewer, "john", "first: 1, filter: {reposts: true}").await;
        let after = format!("after: {}", first["pageInfo"]["endCursor"]);
        let arguments = format!("first: 1, {after}, filter: {{reposts: true}}");
        let second = page(viewer, "john", &arguments).await;
        assert_eq!(entries(&second), ["john's"]);
        assert_eq!(second["pageInfo"]["hasNextPage"], false);
    }
    for viewer in [mary, susan] {
        assert_eq!(all(viewer, "john", FILTERS[3]).await, everything, "{}", viewer.username);
    }
    // A protected user's list is hidden, whatever is in it.
    john.protect(true).await;
    for viewer in [mary, &anonymous] {
        assert!(all(viewer, "john", FILTERS[3]).await.is_empty(), "{}", viewer.username);
    }
    assert_eq!(all(john, "john", FILTERS[3]).await, ["open of mary", "john's"]);
    susan.protect(false).await;
    assert_eq!(all(john, "john", FILTERS[3]).await, everything);
}

/// Hidden reposts and replies are between the entries.
#[tokio::test]
async fn all_pages_joined_are_the_plain_list_both_ways() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    // Whether an entry is a reply, and whether it is a repost that the viewer sees.
    let mut plain: Vec<(String, bool, bool)> = Vec::new();
    for n in 0..30_usize {
        match (n * n + n / 3) % 5 {
            0 => {
                john.write(&format!("post {n}")).await;
                plain.push((format!("post {n}"), false, false));
            }
            1 | 2 => {
                let post = mary.write("x").await;
                john.reply(&post, &format!("reply {n}")).await;
                plain.push((format!("reply {n}"), true, false));
            }
            3 => {
                let post = mary.write(&format!("open {n}")).await;
                assert!(change("repost", john, &post).await);
                plain.push((format!("open {n} of mary"), false, true));
            }
            _ => {
                let post = susan.write("hidden").await;
                assert!(change("repost", john, &post).await);
            }
        }
    }
    susan.protect(true).await;
    plain.reverse();
    for filter in FILTERS {
        let (has_replies, has_reposts) =
            (!filter.contains("replies: false"), filter.contains("reposts: true"));
        let passes =
            |entry: &&(String, bool, bool)| (has_replies || !entry.1) && (has_reposts || !entry.2);
        let expected: Vec<String> =
            plain.iter().filter(passes).map(|entry| entry.0.clone()).collect();
        assert_eq!(all(david, "john", filter).await, expected, "{filter}");
        for size in [1, 2, 3, 7, expected.len()] {
            for forward in [true, false] {
                let joined = read_all_pages(david, filter, size, forward).await;
                assert_eq!(joined, expected, "{filter} by {size}, forward: {forward}");
            }
        }
    }
}

/// Reads John's list page by page, and checks `PageInfo` at each step.
async fn read_all_pages(
    viewer: &Actor<'_>,
    filter: &str,
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
        let arguments = format!("{size_argument}: {size}, filter: {filter}{cursor}");
        let page = page(viewer, "john", &arguments).await;
        let (rows, info) = (entries(&page), &page["pageInfo"]);
        assert_eq!(info[has_read], !joined.is_empty(), "{arguments}");
        joined = if forward { [joined, rows].concat() } else { [rows, joined].concat() };
        if info[has_more] == false {
            return joined;
        }
        cursor = format!(", {cursor_argument}: {}", info[end]);
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_the_filter_of_its_list() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let post = john.write("one").await;
    john.write("two").await;
    assert!(change("repost", &john, &post).await);
    for filter in FILTERS {
        let first = page(&john, "john", &format!("first: 1, filter: {filter}")).await;
        let after = format!("first: 1, after: {}", first["pageInfo"]["endCursor"]);
        for other in FILTERS {
            let document = format!(
                "{{ user(by: {{username: \"john\"}}) {{ posts({after}, filter: {other}) {{
                 totalCount }} }} }}"
            );
            let response = john.execute(&document, json!({})).await;
            let code = &response["errors"][0]["extensions"]["code"];
            let is_same = filter == other;
            assert_eq!(*code == "INVALID_CURSOR", !is_same, "{filter}, {other}: {response}");
        }
    }
}

#[tokio::test]
async fn statement_count_of_lists_with_reposts_is_independent_of_the_number_of_users() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let post = john.write("popular").await;
    for n in 0..100 {
        let user = app.register(&format!("a{n:03}")).await;
        user.write("own").await;
        assert!(change("repost", &user, &post).await);
    }
    for users in [1, 10, 100] {
        let document = format!(
            "{{ users(first: {users}) {{ nodes {{ posts(first: 3, filter: {{reposts: true}}) {{
             totalCount edges {{ repostedAt node {{ body author {{ username }} }} }} }} }} }} }}"
        );
        let (data, statements) = app.count_statements(john.query(&document)).await;
        let users_found = data["users"]["nodes"].as_array().unwrap();
        assert_eq!(users_found.len(), users);
        for user in users_found {
            assert_eq!(user["posts"]["totalCount"], 2, "{user}");
            assert_eq!(user["posts"]["edges"][0]["node"]["body"], "popular");
        }
        // Session, users, pages, numbers of reposts, authors.
        assert_eq!(statements, 5, "{users} users");
    }
}
