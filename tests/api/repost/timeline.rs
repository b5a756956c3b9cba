//! Reposts in home timelines: which are shown, to whom, and with which filter.

use serde_json::{Value, json};

use super::change;
use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// The entries of a user's timeline for a reader, as `body`, or `body by reposter`.
///
/// `arguments` are those of the field. `newerCount` after the last entry must be their number.
async fn entries(reader: &Actor<'_>, owner: &str, arguments: &str) -> Vec<String> {
    let page = |arguments: &str| {
        format!(
            "{{ user(by: {{username: \"{owner}\"}}) {{ timeline{arguments} {{ newerCount
             nodes {{ body }} pageInfo {{ endCursor }}
             edges {{ reason repostedAt repostedBy {{ username }} node {{ body }} }} }} }} }}"
        )
    };
    let data = reader.query(&page(arguments)).await;
    let timeline = &data["user"]["timeline"];
    let edges = timeline["edges"].as_array().unwrap();
    let texts: Vec<String> = edges.iter().map(text).collect();
    for (edge, node) in edges.iter().zip(timeline["nodes"].as_array().unwrap()) {
        assert_eq!(edge["node"], *node);
    }
    if let Some(end) = timeline["pageInfo"]["endCursor"].as_str() {
        let arguments = arguments.strip_suffix(')').unwrap_or("(first: 20");
        let data = reader.query(&page(&format!("{arguments}, after: \"{end}\")"))).await;
        assert_eq!(data["user"]["timeline"]["newerCount"], texts.len());
    }
    texts
}

/// An entry as a text. Only a repost has the fields about it.
fn text(edge: &Value) -> String {
    let body = edge["node"]["body"].as_str().unwrap();
    let is_repost = edge["reason"] == "REPOST";
    assert_eq!(edge["repostedAt"].is_string(), is_repost, "{edge}");
    match edge["repostedBy"]["username"].as_str() {
        Some(user) if is_repost => format!("{body} by {user}"),
        None if !is_repost => body.to_owned(),
        _ => panic!("{edge}"),
    }
}

/// What a user's own timeline shows without a filter.
async fn own(user: &Actor<'_>) -> Vec<String> {
    entries(user, &user.username, "").await
}

#[tokio::test]
async fn a_repost_appears_at_the_place_of_its_time_and_disappears_when_it_is_withdrawn() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    let post = mary.write("mary's").await;
    susan.write("susan's").await;
    assert_eq!(own(john).await, ["susan's"]);
    assert!(change("repost", susan, &post).await);
    john.write("john's").await;
    assert_eq!(own(john).await, ["john's", "mary's by susan", "susan's"]);
    assert_eq!(own(susan).await, ["mary's by susan", "susan's"], "one's own repost");
    assert_eq!(own(mary).await, ["mary's"], "not in the author's timeline");
    assert_eq!(own(&actors.david).await, Vec::<String>::new());

    assert!(change("repost", john, &post).await);
    let both = ["mary's by john", "john's", "mary's by susan", "susan's"];
    assert_eq!(own(john).await, both);
    assert!(change("unrepost", susan, &post).await);
    assert_eq!(own(john).await, ["mary's by john", "john's", "susan's"]);
    assert_eq!(own(susan).await, ["susan's"]);
    // It is reposted anew, at the place of the new time.
    assert!(change("repost", susan, &post).await);
    assert_eq!(own(john).await, ["mary's by susan", "mary's by john", "john's", "susan's"]);
    john.unfollow(susan).await;
    assert_eq!(own(john).await, ["mary's by john", "john's"]);
}

#[tokio::test]
async fn a_repost_is_hidden_where_the_original_is_shown_or_the_author_is_hidden() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    let (johns, marys) = (john.write("john's").await, mary.write("mary's").await);
    for post in [&johns, &marys] {
        assert!(change("repost", susan, post).await);
    }
    let shown = ["mary's by susan", "john's"];
    assert_eq!(own(john).await, shown, "without the repost of the owner's post");
    john.follow(mary).await;
    assert_eq!(own(john).await, ["mary's", "john's"]);
    john.unfollow(mary).await;
    assert_eq!(own(john).await, shown);

    let of = |verb: &str, other: &str| {
        format!("{verb}(user: {{username: \"{other}\"}}) {{ changed userErrors {{ code }} }}")
    };
    let mary_mutates = (mary, "john");
    for (verb, undo, (viewer, other)) in [
        ("mute", "unmute", (john, "mary")),
        ("mute", "unmute", (john, "susan")),
        ("block", "unblock", (john, "mary")),
        ("block", "unblock", mary_mutates),
    ] {
        assert_eq!(viewer.mutate(&of(verb, other)).await["changed"], true);
        assert_eq!(own(john).await, ["john's"], "{} {verb}s {other}", viewer.username);
        assert_eq!(own(susan).await, ["mary's by susan", "john's by susan"]);
        assert_eq!(viewer.mutate(&of(undo, other)).await["changed"], true);
        assert_eq!(own(john).await, shown, "{} {undo}s {other}", viewer.username);
    }
    mary.protect(true).await;
    assert_eq!(own(john).await, ["john's"]);
    assert_eq!(own(susan).await, ["john's by susan"]);
    mary.protect(false).await;
    assert_eq!(own(john).await, shown);
}

#[tokio::test]
async fn each_of_five_reposts_is_an_entry_with_the_same_post() {
    let app = TestApp::new().await;
    let (john, author) = (app.register("john").await, app.register("author").await);
    let post = author.write("popular").await;
    for n in 0..5 {
        let friend = app.register(&format!("friend{n}")).await;
        john.follow(&friend).await;
        assert!(change("repost", &friend, &post).await);
    }
    let expected: Vec<String> = (0..5).rev().map(|n| format!("popular by friend{n}")).collect();
    assert_eq!(own(&john).await, expected);
    let document = "{ viewer { user { timeline { edges { cursor node { id repostsCount } } } } } }";
    let data = john.query(document).await;
    let edges = data["viewer"]["user"]["timeline"]["edges"].as_array().unwrap();
    for edge in edges {
        assert_eq!(edge["node"], json!({ "id": post, "repostsCount": 5 }));
    }
    // Pages end and begin between the entries of one post.
    let cursor = &edges[1]["cursor"];
    assert_eq!(entries(&john, "john", "(first: 2)").await, expected[..2]);
    for (arguments, range) in [("first: 2, after", 2..4), ("last: 1, before", 0..1)] {
        let page = format!(
            "{{ viewer {{ user {{ timeline({arguments}: {cursor}) {{
             edges {{ reason repostedAt repostedBy {{ username }} node {{ body }} }} }} }} }} }}"
        );
        let page = john.query(&page).await["viewer"]["user"]["timeline"]["edges"].take();
        let page: Vec<String> = page.as_array().unwrap().iter().map(text).collect();
        assert_eq!(page, expected[range], "{arguments}");
    }
}

#[tokio::test]
async fn a_filter_leaves_out_own_entries_replies_and_reposts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    let (johns, marys) = (john.write("john's").await, mary.write("mary's").await);
    susan.reply(&johns, "to john").await;
    let reply = susan.reply(&marys, "to mary").await;
    assert!(change("repost", susan, &marys).await);
    assert!(change("repost", john, &marys).await);
    let reposts = ["mary's by john", "mary's by susan"];
    let all = [reposts[0], reposts[1], "to mary", "to john", "john's"];
    let cases: [(&str, &[&str]); 6] = [
        ("{}", &all),
        ("{includeOwn: false}", &all[1..4]),
        ("{replies: TO_FOLLOWED}", &[reposts[0], reposts[1], "to john", "john's"]),
        ("{replies: NONE}", &[reposts[0], reposts[1], "john's"]),
        ("{includeReposts: false}", &all[2..]),
        ("{includeOwn: false, replies: NONE, includeReposts: false}", &[]),
    ];
    for (filter, expected) in cases {
        let arguments = format!("(first: 20, filter: {filter})");
        assert_eq!(entries(john, "john", &arguments).await, expected, "{filter}");
    }
    // A repost of a reply is a repost.
    assert!(change("repost", john, &reply).await);
    let arguments = "(first: 2, filter: {replies: NONE})";
    assert_eq!(own(john).await[0], "mary's by john", "its author is followed");
    john.unfollow(susan).await;
    assert_eq!(entries(john, "john", arguments).await, ["to mary by john", "mary's by john"]);
}

#[tokio::test]
async fn a_cursor_belongs_to_the_filter_of_its_timeline() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    john.write("one").await;
    john.write("two").await;
    let filters = ["{}", "{includeOwn: true, replies: TO_FOLLOWED}", "{includeReposts: false}"];
    let document = |filter: &str, page: &str| {
        format!(
            "{{ viewer {{ user {{ timeline({page}, filter: {filter}) {{
             nodes {{ body }} pageInfo {{ endCursor }} }} }} }} }}"
        )
    };
    for filter in filters {
        let page = john.query(&document(filter, "first: 1")).await;
        let end = &page["viewer"]["user"]["timeline"]["pageInfo"]["endCursor"];
        let after = format!("after: {end}");
        for other in filters {
            if other == filter {
                let page = john.query(&document(other, &after)).await;
                let nodes = &page["viewer"]["user"]["timeline"]["nodes"];
                assert_eq!(*nodes, json!([{ "body": "one" }]));
            } else {
                assert_eq!(john.error(&document(other, &after)).await, "INVALID_CURSOR");
            }
        }
    }
    // The defaults are no filter.
    let page = john.query("{ viewer { user { timeline(first: 1) { pageInfo { endCursor } } } } }");
    let end = page.await["viewer"]["user"]["timeline"]["pageInfo"]["endCursor"].take();
    for same in ["{}", "null", "{includeOwn: true, replies: ALL, includeReposts: true}"] {
        john.query(&document(same, &format!("after: {end}"))).await;
    }
}

/// The mutes, blocks and follows of the owner decide, and not those of the reader.
#[tokio::test]
async fn a_reader_sees_the_reposts_of_the_owners_timeline() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    let marys = mary.write("mary's").await;
    assert!(change("repost", susan, &marys).await);
    david.follow(mary).await;
    david.mutate("mute(user: {username: \"susan\"}) { changed }").await;
    for reader in [john, susan, mary, david, &app.anonymous()] {
        assert_eq!(entries(reader, "john", "").await, ["mary's by susan"], "{}", reader.username);
    }
    john.mutate("mute(user: {username: \"mary\"}) { changed }").await;
    for reader in [john, mary, &app.anonymous()] {
        assert!(entries(reader, "john", "").await.is_empty(), "{}", reader.username);
    }
    john.mutate("unmute(user: {username: \"mary\"}) { changed }").await;

    // A repost by a protected user is for the followers of that user.
    susan.protect(true).await;
    for (reader, is_shown) in
        [(john, true), (susan, true), (mary, false), (&app.anonymous(), false)]
    {
        let shown = entries(reader, "john", "").await;
        assert_eq!(shown.len(), usize::from(is_shown), "{}: {shown:?}", reader.username);
    }
    susan.protect(false).await;
    // Followers of the author do not see the repost of a protected author either.
    mary.protect(true).await;
    for reader in [john, mary, david] {
        assert!(entries(reader, "john", "").await.is_empty(), "{}", reader.username);
    }
}
