//! Likes: idempotent writes, exact counts, lists, blocks and visibility.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::live::{TIMELINE, summary};
use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

/// A mutation of the viewer's like of a post.
fn field(verb: &str, post: &str) -> String {
    format!(
        "{verb}(postId: \"{post}\") {{ changed post {{ body likesCount viewerHasLiked
         likers {{ totalCount nodes {{ username }} }} }} userErrors {{ code path }} }}"
    )
}

/// Executes `like` or `unlike`, which must succeed. Returns `changed`.
async fn change(verb: &str, viewer: &Actor<'_>, post: &str) -> bool {
    let payload = viewer.mutate(&field(verb, post)).await;
    assert_eq!(payload["userErrors"], json!([]), "{payload}");
    assert_eq!(payload["post"]["viewerHasLiked"], verb == "like", "{payload}");
    payload["changed"] == true
}

/// The users who like a post, newest like first.
///
/// Both counts must equal the length of the list.
async fn likers(viewer: &Actor<'_>, post: &str) -> Vec<String> {
    let document = format!(
        "{{ node(id: \"{post}\") {{ ... on Post {{ likesCount
         likers(first: 100) {{ totalCount nodes {{ username }} }} }} }} }}"
    );
    let post = viewer.query(&document).await["node"].take();
    let names = texts(&post["likers"]["nodes"], "username");
    assert_eq!(post["likesCount"], names.len(), "{post}");
    assert_eq!(post["likers"]["totalCount"], names.len(), "{post}");
    names
}

/// The texts of the posts that the viewer likes, newest like first.
async fn liked(viewer: &Actor<'_>) -> Vec<String> {
    let list = "{ viewer { likes { totalCount edges { likedAt node { viewerHasLiked } }
        nodes { body } } } }";
    let likes = viewer.query(list).await["viewer"]["likes"].take();
    let bodies = texts(&likes["nodes"], "body");
    assert_eq!(likes["totalCount"], bodies.len(), "{likes}");
    for edge in likes["edges"].as_array().unwrap() {
        assert_eq!(edge["node"]["viewerHasLiked"], true, "{likes}");
        assert!(edge["likedAt"].is_string(), "{likes}");
    }
    bodies
}

#[tokio::test]
async fn like_and_unlike_are_idempotent_and_count() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let post = susan.write("hello").await;
    let expected = |changed: bool, has_liked: bool, likers: &[&str]| {
        let nodes: Vec<Value> = likers.iter().map(|name| json!({ "username": name })).collect();
        json!({ "changed": changed, "post": { "body": "hello", "likesCount": likers.len(),
                "viewerHasLiked": has_liked,
                "likers": { "totalCount": likers.len(), "nodes": nodes } }, "userErrors": [] })
    };
    let (like, unlike) = (field("like", &post), field("unlike", &post));
    let events = app.event_count().await;
    assert_eq!(john.mutate(&unlike).await, expected(false, false, &[]), "there is no like yet");
    assert_eq!(john.mutate(&like).await, expected(true, true, &["john"]));
    assert_eq!(john.mutate(&like).await, expected(false, true, &["john"]), "idempotent");
    assert_eq!(mary.mutate(&like).await, expected(true, true, &["mary", "john"]));
    assert_eq!(susan.mutate(&like).await, expected(true, true, &["susan", "mary", "john"]), "own");
    let read = "{ posts { nodes { likesCount viewerHasLiked } } }";
    for (viewer, has_liked) in [(john, true), (&actors.david, false), (&app.anonymous(), false)] {
        let nodes = viewer.query(read).await["posts"]["nodes"].take();
        assert_eq!(nodes, json!([{ "likesCount": 3, "viewerHasLiked": has_liked }]));
    }
    assert_eq!(john.mutate(&unlike).await, expected(true, false, &["susan", "mary"]));
    assert_eq!(john.mutate(&unlike).await, expected(false, false, &["susan", "mary"]));
    assert_eq!(john.mutate(&like).await, expected(true, true, &["john", "susan", "mary"]));
    assert_eq!(app.event_count().await, events + 5, "one event for each change");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn liking_rejects_deleted_and_hidden_posts_wrong_ids_and_anonymous_clients() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let deleted = john.write("deleted").await;
    john.mutate(&format!("deletePost(id: \"{deleted}\") {{ changed }}")).await;
    let hidden = susan.write("hidden").await;
    susan.protect(true).await;
    for verb in ["like", "unlike"] {
        for post in [&deleted, &hidden] {
            let expected = json!({ "changed": false, "post": null,
                "userErrors": [{ "code": "NOT_FOUND", "path": ["postId"] }] });
            assert_eq!(john.mutate(&field(verb, post)).await, expected);
            let document = format!("mutation {{ {} }}", field(verb, post));
            assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
        }
        let document = format!("mutation {{ {} }}", field(verb, &john.id));
        assert_eq!(john.error(&document).await, "INVALID_ID");
    }
    assert_eq!(likers(&susan, &hidden).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_viewers_likes_are_private_and_leave_out_hidden_posts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let (one, two) = (susan.write("one").await, susan.write("two").await);
    let three = mary.write("three").await;
    for post in [&two, &three, &one] {
        assert!(change("like", john, post).await);
    }
    assert_eq!(liked(john).await, ["one", "three", "two"], "newest like first");
    assert_eq!(liked(susan).await, Vec::<String>::new());
    assert!(change("unlike", john, &one).await);
    assert_eq!(liked(john).await, ["three", "two"]);

    susan.protect(true).await;
    assert_eq!(liked(john).await, ["three"], "john does not follow susan");
    assert_eq!(john.user_error(&field("unlike", &two)).await, "NOT_FOUND");
    assert_eq!(likers(susan, &two).await, ["john"], "the like still exists");
    susan.protect(false).await;
    assert_eq!(liked(john).await, ["three", "two"]);
}

#[tokio::test]
async fn pages_of_likers_are_those_of_their_own_post() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let (one, two) = (actors.david.write("one").await, actors.david.write("two").await);
    for (user, post) in [(john, &one), (susan, &two), (susan, &one), (mary, &one), (john, &two)] {
        assert!(change("like", user, post).await);
    }
    let pages = async |arguments: &str| {
        let document = format!(
            "{{ posts {{ nodes {{ body likers({arguments}) {{ totalCount nodes {{ username }}
             edges {{ likedAt }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }} }} }}"
        );
        let nodes = app.anonymous().query(&document).await["posts"]["nodes"].take();
        [1, 0].map(|index| {
            let page = &nodes[index]["likers"];
            let info = &page["pageInfo"];
            assert_eq!(page["totalCount"], [2, 3][index]);
            assert_eq!(page["edges"][0]["likedAt"].is_string(), page["nodes"][0].is_object());
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
async fn a_block_refuses_new_likes_and_keeps_old_ones() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let (old, new) = (susan.write("old").await, susan.write("new").await);
    let johns = john.write("john's").await;
    assert!(change("like", &john, &old).await);
    susan.mutate("block(user: {username: \"john\"}) { changed }").await;
    let blocked = json!({ "changed": false, "post": null,
        "userErrors": [{ "code": "BLOCKED", "path": ["postId"] }] });
    // In both directions.
    assert_eq!(john.mutate(&field("like", &new)).await, blocked);
    assert_eq!(susan.mutate(&field("like", &johns)).await, blocked);
    for post in [&new, &johns] {
        assert_eq!(likers(&susan, post).await, Vec::<String>::new(), "nothing was written");
    }
    assert!(change("like", &susan, &new).await, "her own post");
    assert!(!change("like", &john, &old).await, "the requested state holds");
    assert_eq!(likers(&susan, &old).await, ["john"]);
    assert!(change("unlike", &john, &old).await, "undoing is possible");
    assert_eq!(john.mutate(&field("like", &old)).await, blocked);
    assert_eq!(app.doctor_report().await, "no problems found\n");
    susan.mutate("unblock(user: {username: \"john\"}) { changed }").await;
    assert!(change("like", &john, &old).await);
    assert_eq!(likers(&susan, &old).await, ["john"]);
}

#[tokio::test]
async fn deleting_a_post_or_an_account_deletes_its_likes_and_corrects_counts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let (johns, susans) = (john.write("john's").await, susan.write("susan's").await);
    let (one, two) = (mary.write("one").await, mary.write("two").await);
    for post in [&johns, &susans, &one, &two] {
        for user in [john, susan] {
            assert!(change("like", user, post).await);
        }
    }
    susan
        .mutate(&format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}"))
        .await;
    for post in [&johns, &one, &two] {
        assert_eq!(likers(mary, post).await, ["john"]);
    }
    assert_eq!(liked(john).await, ["two", "one", "john's"]);
    mary.mutate(&format!("deletePost(id: \"{one}\") {{ changed }}")).await;
    assert_eq!(liked(john).await, ["two", "john's"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_like_updates_the_post_in_timelines() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    let post = susan.write("one").await;
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let after = john.query(cursor).await["viewer"]["user"]["timeline"]["streamCursor"].take();
    let mut live = john.subscribe_and_join(TIMELINE, json!({})).await;
    for (n, user) in [(1, &john), (2, &susan)] {
        assert!(change("like", user, &post).await);
        let event = live.next().await;
        assert_eq!((summary(&event), &event["post"]["likesCount"]), ("=one".to_owned(), &json!(n)));
    }
    assert!(!change("like", &john, &post).await);
    susan.write("two").await;
    assert_eq!(summary(&live.next().await), "+two", "an unchanged count is no event");
    live.assert_idle().await;
    // A replay has both likes as one event, before the others.
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
    let event = resumed.next().await;
    assert_eq!((summary(&event), &event["post"]["likesCount"]), ("=one".to_owned(), &json!(2)));
    assert_eq!(summary(&resumed.next().await), "+two");
    resumed.assert_idle().await;
}

#[tokio::test]
async fn the_deletion_of_an_account_updates_the_posts_that_it_liked_in_timelines() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let leaver = app.register("leaver").await;
    john.follow(&susan).await;
    let post = susan.write("one").await;
    let mut live = john.subscribe_and_join(TIMELINE, json!({})).await;
    assert!(change("like", &leaver, &post).await);
    let event = live.next().await;
    assert_eq!((summary(&event), &event["post"]["likesCount"]), ("=one".to_owned(), &json!(1)));
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(leaver.mutate(&delete).await["changed"], true);
    let event = live.next().await;
    assert_eq!((summary(&event), &event["post"]["likesCount"]), ("=one".to_owned(), &json!(0)));
    live.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_likes_are_counted_exactly() {
    let app = TestApp::new().await;
    let author = app.register("author").await;
    let post = author.write("popular").await;
    let names: Vec<String> = (0..50).map(|n| format!("user{n}")).collect();
    let mut users = Vec::new();
    for name in &names {
        users.push(app.register(name).await);
    }
    let changed = join_all(users.iter().map(|user| change("like", user, &post))).await;
    assert_eq!(changed, vec![true; 50]);
    assert_eq!(likers(&author, &post).await.len(), 50);
    let changed = join_all((0..50).map(|_| change("unlike", &users[0], &post))).await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(likers(&author, &post).await.len(), 49);
    let unlikes = join_all(users[..25].iter().map(|user| change("unlike", user, &post)));
    let likes = join_all(users[25..].iter().map(|user| change("like", user, &post)));
    let (unlikes, likes) = tokio::join!(unlikes, likes);
    assert_eq!(unlikes.into_iter().filter(|changed| *changed).count(), 24);
    assert_eq!(likes, vec![false; 25]);
    assert_eq!(likers(&author, &post).await.len(), 25);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// Likes and the deletion lock users before posts.
#[tokio::test(flavor = "multi_thread")]
async fn likes_during_the_deletion_of_the_account_are_counted_exactly() {
    let app = TestApp::new().await;
    let author = app.register("author").await;
    let mut posts = Vec::new();
    for n in 0..10 {
        posts.push(author.write(&format!("post {n}")).await);
    }
    for n in 0..5 {
        let leaver = app.register(&format!("leaver{n}")).await;
        let documents: Vec<String> =
            posts.iter().map(|post| format!("mutation {{ {} }}", field("like", post))).collect();
        let likes = join_all(documents.iter().map(|like| leaver.execute(like, json!({}))));
        let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
        let (_, deleted) = tokio::join!(likes, leaver.mutate(&delete));
        assert_eq!(deleted["changed"], true);
    }
    for post in &posts {
        assert_eq!(likers(&author, post).await, Vec::<String>::new());
    }
    assert_eq!(app.doctor_report().await, "no problems found\n");
}
