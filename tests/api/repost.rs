//! Reposts: idempotent writes, exact counts, blocks, protection and visibility.
//!
//! `timeline` has the entries of reposts in timelines, `lists` those in the posts of a user, and
//! `deletion` what ends reposts.

mod deletion;
mod lists;
mod timeline;

use entity::event::Kind;
use futures_util::future::join_all;
use sea_orm::{ActiveEnum as _, ConnectionTrait as _};
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

/// A mutation of the viewer's repost of a post.
fn field(verb: &str, post: &str) -> String {
    format!(
        "{verb}(postId: \"{post}\") {{ changed post {{ body repostsCount viewerHasReposted
         reposters {{ totalCount nodes {{ username }} }} }} userErrors {{ code path }} }}"
    )
}

/// Executes `repost` or `unrepost`, which must succeed. Returns `changed`.
async fn change(verb: &str, viewer: &Actor<'_>, post: &str) -> bool {
    let payload = viewer.mutate(&field(verb, post)).await;
    assert_eq!(payload["userErrors"], json!([]), "{payload}");
    assert_eq!(payload["post"]["viewerHasReposted"], verb == "repost", "{payload}");
    payload["changed"] == true
}

/// The payload of a mutation that failed with a user error.
fn failure(code: &str) -> Value {
    let error = json!([{ "code": code, "path": ["postId"] }]);
    json!({ "changed": false, "post": null, "userErrors": error })
}

/// The users who have reposted a post, newest repost first.
///
/// Both counts must equal the length of the list.
async fn reposters(viewer: &Actor<'_>, post: &str) -> Vec<String> {
    let document = format!(
        "{{ node(id: \"{post}\") {{ ... on Post {{ repostsCount
         reposters(first: 100) {{ totalCount nodes {{ username }} }} }} }} }}"
    );
    let post = viewer.query(&document).await["node"].take();
    let names = texts(&post["reposters"]["nodes"], "username");
    assert_eq!(post["repostsCount"], names.len(), "{post}");
    assert_eq!(post["reposters"]["totalCount"], names.len(), "{post}");
    names
}

/// The users of the parts of the newest event of a kind, of parts of another kind.
///
/// In the order of their ids.
async fn parts(app: &TestApp, event: Kind, part: Kind) -> Vec<String> {
    let sql = "SELECT \"user\".username FROM event_part JOIN \"user\" ON \"user\".id = actor \
        WHERE txn = (SELECT max(txn) FROM event WHERE kind = $1) AND kind = $2 \
        ORDER BY \"user\".id, object";
    let values = [event.into_value().into(), part.into_value().into()];
    let statement = app.database().statement(sql, values);
    let rows = app.database().writer().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn repost_and_unrepost_are_idempotent_and_count() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let post = susan.write("hello").await;
    let expected = |changed: bool, has_reposted: bool, reposters: &[&str]| {
        let nodes: Vec<Value> = reposters.iter().map(|name| json!({ "username": name })).collect();
        json!({ "changed": changed, "post": { "body": "hello", "repostsCount": reposters.len(),
                "viewerHasReposted": has_reposted,
                "reposters": { "totalCount": reposters.len(), "nodes": nodes } },
            "userErrors": [] })
    };
    let (repost, unrepost) = (field("repost", &post), field("unrepost", &post));
    let events = app.event_count().await;
    assert_eq!(john.mutate(&unrepost).await, expected(false, false, &[]), "there is none yet");
    assert_eq!(john.mutate(&repost).await, expected(true, true, &["john"]));
    assert_eq!(john.mutate(&repost).await, expected(false, true, &["john"]), "idempotent");
    assert_eq!(mary.mutate(&repost).await, expected(true, true, &["mary", "john"]));
    let all = ["susan", "mary", "john"];
    assert_eq!(susan.mutate(&repost).await, expected(true, true, &all), "one's own post");
    let read = "{ posts { nodes { repostsCount viewerHasReposted } } }";
    for (viewer, has_reposted) in [(john, true), (&actors.david, false), (&app.anonymous(), false)]
    {
        let nodes = viewer.query(read).await["posts"]["nodes"].take();
        assert_eq!(nodes, json!([{ "repostsCount": 3, "viewerHasReposted": has_reposted }]));
    }
    assert_eq!(john.mutate(&unrepost).await, expected(true, false, &["susan", "mary"]));
    assert_eq!(john.mutate(&unrepost).await, expected(false, false, &["susan", "mary"]));
    assert_eq!(john.mutate(&repost).await, expected(true, true, &["john", "susan", "mary"]));
    assert_eq!(app.event_count().await, events + 5, "one event for each change");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn reposting_rejects_deleted_and_hidden_posts_wrong_ids_and_anonymous_clients() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let deleted = john.write("deleted").await;
    john.mutate(&format!("deletePost(id: \"{deleted}\") {{ changed }}")).await;
    let hidden = susan.write("hidden").await;
    susan.protect(true).await;
    for verb in ["repost", "unrepost"] {
        for post in [&deleted, &hidden] {
            assert_eq!(john.mutate(&field(verb, post)).await, failure("NOT_FOUND"));
            let document = format!("mutation {{ {} }}", field(verb, post));
            assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
        }
        let document = format!("mutation {{ {} }}", field(verb, &john.id));
        assert_eq!(john.error(&document).await, "INVALID_ID");
    }
    assert_eq!(reposters(&susan, &hidden).await, Vec::<String>::new());
}

/// John may see Susan's posts, and Mary may not.
#[tokio::test]
async fn posts_of_a_protected_user_are_reposted_by_the_author_only() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    let old = susan.write("old").await;
    for user in [john, mary] {
        assert!(change("repost", user, &old).await);
    }
    susan.protect(true).await;
    let new = susan.write("new").await;
    assert_eq!(john.mutate(&field("repost", &new)).await, failure("INVALID_INPUT"));
    assert_eq!(mary.mutate(&field("repost", &new)).await, failure("NOT_FOUND"));
    assert_eq!(reposters(susan, &new).await, Vec::<String>::new(), "nothing was written");
    assert!(change("repost", susan, &new).await, "one's own post");

    // A repost from before the protection stays until it is withdrawn.
    assert!(!change("repost", john, &old).await, "the requested state holds");
    assert_eq!(mary.mutate(&field("unrepost", &old)).await, failure("NOT_FOUND"));
    assert_eq!(reposters(john, &old).await, ["mary", "john"]);
    assert!(change("unrepost", john, &old).await);
    assert_eq!(john.mutate(&field("repost", &old)).await, failure("INVALID_INPUT"));
    assert_eq!(reposters(john, &old).await, ["mary"]);
    susan.protect(false).await;
    assert!(change("repost", john, &old).await);
    assert!(change("unrepost", mary, &old).await);
    assert_eq!(reposters(&app.anonymous(), &old).await, ["john"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_block_refuses_new_reposts_and_keeps_old_ones() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let (old, new) = (susan.write("old").await, susan.write("new").await);
    let johns = john.write("john's").await;
    assert!(change("repost", &john, &old).await);
    susan.mutate("block(user: {username: \"john\"}) { changed }").await;
    // In both directions.
    assert_eq!(john.mutate(&field("repost", &new)).await, failure("BLOCKED"));
    assert_eq!(susan.mutate(&field("repost", &johns)).await, failure("BLOCKED"));
    for post in [&new, &johns] {
        assert_eq!(reposters(&susan, post).await, Vec::<String>::new(), "nothing was written");
    }
    assert!(change("repost", &susan, &new).await, "one's own post");
    assert!(!change("repost", &john, &old).await, "the requested state holds");
    assert_eq!(reposters(&susan, &old).await, ["john"]);
    assert!(change("unrepost", &john, &old).await, "undoing is possible");
    assert_eq!(john.mutate(&field("repost", &old)).await, failure("BLOCKED"));
    assert_eq!(app.doctor_report().await, "no problems found\n");
    susan.mutate("unblock(user: {username: \"john\"}) { changed }").await;
    assert!(change("repost", &john, &old).await);
    assert_eq!(reposters(&susan, &old).await, ["john"]);
}

#[tokio::test]
async fn pages_of_reposters_are_those_of_their_own_post() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let (one, two) = (actors.david.write("one").await, actors.david.write("two").await);
    for (user, post) in [(john, &one), (susan, &two), (susan, &one), (mary, &one), (john, &two)] {
        assert!(change("repost", user, post).await);
    }
    let pages = async |arguments: &str| {
        let document = format!(
            "{{ posts {{ nodes {{ reposters({arguments}) {{ totalCount nodes {{ username }}
             edges {{ repostedAt }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }} }} }}"
        );
        let nodes = app.anonymous().query(&document).await["posts"]["nodes"].take();
        [1, 0].map(|index| {
            let page = &nodes[index]["reposters"];
            let info = &page["pageInfo"];
            assert_eq!(page["totalCount"], [2, 3][index]);
            let times = texts(&page["edges"], "repostedAt");
            assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
            (
                texts(&page["nodes"], "username"),
                info["hasNextPage"] == true,
                info["hasPreviousPage"] == true,
                info["endCursor"].clone(),
            )
        })
    };
    let [of_one, of_two] = pages("first: 2").await;
    assert_eq!((of_one.0, of_one.1, of_one.2), (vec!["mary".into(), "susan".into()], true, false));
    assert_eq!((of_two.0, of_two.1, of_two.2), (vec!["john".into(), "susan".into()], false, false));
    let [rest, _] = pages(&format!("first: 2, after: {}", of_one.3)).await;
    assert_eq!((rest.0, rest.1, rest.2), (vec!["john".into()], false, true));
    let [of_one, of_two] = pages("last: 1").await;
    assert_eq!((of_one.0, of_one.1, of_one.2), (vec!["john".into()], false, true));
    assert_eq!((of_two.0, of_two.1, of_two.2), (vec!["susan".into()], false, true));
}

#[tokio::test]
async fn statement_count_of_reposts_is_independent_of_the_number_of_posts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    for n in 0..100 {
        let post = mary.write(&format!("post {n}")).await;
        assert!(change("repost", susan, &post).await);
    }
    for count in [1, 10, 100] {
        let posts = format!(
            "{{ posts(first: {count}) {{ nodes {{ repostsCount viewerHasReposted
             reposters(first: 2) {{ totalCount edges {{ repostedAt node {{ username }} }} }} }} }} }}"
        );
        let (data, statements) = app.count_statements(susan.query(&posts)).await;
        let nodes = data["posts"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), count);
        assert!(nodes.iter().all(|post| post["viewerHasReposted"] == true), "{data}");
        assert_eq!(nodes[0]["reposters"]["edges"][0]["node"]["username"], "susan");
        // Session, posts, the viewer's reposts, reposters.
        assert_eq!(statements, 4, "{count} posts");
        let timeline = format!(
            "{{ viewer {{ user {{ timeline(first: {count}) {{ edges {{ reason repostedAt
             repostedBy {{ username }} node {{ author {{ username }} }} }} }} }} }} }}"
        );
        let (data, statements) = app.count_statements(john.query(&timeline)).await;
        let edges = data["viewer"]["user"]["timeline"]["edges"].as_array().unwrap();
        assert_eq!(edges.len(), count);
        assert!(edges.iter().all(|edge| edge["repostedBy"]["username"] == "susan"), "{data}");
        // Session, timeline with authors, users who reposted.
        assert_eq!(statements, 3, "{count} entries");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_reposts_are_counted_exactly() {
    let app = TestApp::new().await;
    let author = app.register("author").await;
    let post = author.write("popular").await;
    let names: Vec<String> = (0..50).map(|n| format!("user{n}")).collect();
    let mut users = Vec::new();
    for name in &names {
        users.push(app.register(name).await);
    }
    let changed = join_all(users.iter().map(|user| change("repost", user, &post))).await;
    assert_eq!(changed, vec![true; 50]);
    assert_eq!(reposters(&author, &post).await.len(), 50);
    let changed = join_all((0..50).map(|_| change("unrepost", &users[0], &post))).await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(reposters(&author, &post).await.len(), 49);
    let changed = join_all((0..50).map(|_| change("repost", &users[0], &post))).await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
    let withdrawn = join_all(users[..25].iter().map(|user| change("unrepost", user, &post)));
    let repeated = join_all(users[25..].iter().map(|user| change("repost", user, &post)));
    let (withdrawn, repeated) = tokio::join!(withdrawn, repeated);
    assert_eq!(withdrawn, vec![true; 25]);
    assert_eq!(repeated, vec![false; 25]);
    assert_eq!(reposters(&author, &post).await.len(), 25);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// Timelines hide these reposts, so the event names their users.
#[tokio::test]
async fn a_change_of_the_protection_is_an_event_with_a_part_for_each_reposter() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    let (one, two) = (susan.write("one").await, susan.write("two").await);
    david.write("without reposts").await;
    for (user, post) in [(mary, &two), (john, &one), (john, &two), (susan, &one)] {
        assert!(change("repost", user, post).await);
    }
    let events = app.event_count().await;
    for (n, is_protected) in [(1, true), (2, false), (3, true)] {
        susan.protect(is_protected).await;
        susan.protect(is_protected).await;
        let informed = parts(&app, Kind::RepostsHidden, Kind::RepostsHidden).await;
        assert_eq!(informed, ["mary"], "once for each other user: the event is that of john");
        assert_eq!(app.event_count().await, events + n, "one event for each change");
    }
    david.protect(true).await;
    susan.mutate("updateProfile(input: {displayName: \"Susan\"}) { user { id } }").await;
    assert_eq!(app.event_count().await, events + 3, "there is nothing to hide");
}
