//! Visibility in writes, the public list, federation and streams.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{graph, reveals};
use crate::live::{TIMELINE, summary};
use crate::support::actors::texts;
use crate::support::app::TestApp;

#[tokio::test]
async fn writes_treat_a_hidden_post_as_missing() {
    let app = TestApp::new().await;
    let graph = graph(&app).await;
    let post = &graph.post;
    let edit = format!(
        "editPost(input: {{id: \"{post}\", body: \"x\"}}) {{ post {{ id }} userErrors {{ code }} }}"
    );
    let delete = format!("deletePost(id: \"{post}\") {{ changed userErrors {{ code }} }}");
    for (what, viewer) in &graph.others[1..] {
        for verb in ["bookmark", "unbookmark", "like", "unlike", "repost", "unrepost"] {
            let field = format!(
                "{verb}(postId: \"{post}\") {{ changed post {{ id }} userErrors {{ code }} }}"
            );
            let expected = json!({ "changed": false, "post": null,
                "userErrors": [{ "code": "NOT_FOUND" }] });
            assert_eq!(viewer.mutate(&field).await, expected, "{verb} by {what}");
        }
        assert_eq!(viewer.user_error(&edit).await, "NOT_FOUND", "{what}");
        let deleted = viewer.mutate(&delete).await;
        assert_eq!(deleted, json!({ "changed": false, "userErrors": [] }), "{what}");
    }
    for mutation in [edit, delete] {
        let code = graph.follower.error(&format!("mutation {{ {mutation} }}")).await;
        assert_eq!(code, "FORBIDDEN", "a follower sees whose post it is");
    }
    // Bookmarks and likes of hidden posts come back with the permission.
    let lists = "{ viewer { bookmarks { totalCount nodes { body } }
        likes { totalCount nodes { body } } } }";
    let former = &graph.others[2].1;
    let none = json!({ "totalCount": 0, "nodes": [] });
    let expected = json!({ "bookmarks": none, "likes": none });
    assert_eq!(former.query(lists).await["viewer"], expected);
    graph.secret.protect(false).await;
    let one = json!({ "totalCount": 1, "nodes": [{ "body": "secret 1" }] });
    let expected = json!({ "bookmarks": one, "likes": one });
    assert_eq!(former.query(lists).await["viewer"], expected);
}

#[tokio::test]
async fn the_public_list_has_posts_of_users_without_protection_only() {
    let app = TestApp::new().await;
    let graph = graph(&app).await;
    let list = "{ posts { totalCount nodes { body } } }";
    let open = json!({ "posts": { "totalCount": 2,
        "nodes": [{ "body": "open 3" }, { "body": "open 2" }] } });
    graph.secret.write("secret 4").await;
    for viewer in [&graph.secret, &graph.follower, &app.anonymous()] {
        assert_eq!(viewer.query(list).await, open);
    }
    graph.secret.protect(false).await;
    let data = app.anonymous().query(list).await;
    assert_eq!(data["posts"]["totalCount"], 6);
    assert_eq!(texts(&data["posts"]["nodes"], "body")[0], "secret 4");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn entities_of_a_federated_graph_are_guarded() {
    let app = TestApp::with(&["--federation"]).await;
    let graph = graph(&app).await;
    let document = "query ($post: ID!, $user: ID!, $keys: [_Any!]!) {
        _entities(representations: $keys) { __typename ... on Post { body }
            ... on User { username posts { totalCount nodes { body } } } } }";
    let keys = json!({ "post": graph.post, "user": graph.secret.id, "keys": [
        { "__typename": "Post", "id": graph.post }, { "__typename": "User", "id": graph.secret.id }] });
    let document = document.replace("$post: ID!, $user: ID!, ", "");
    for (what, viewer) in &graph.others {
        let data = viewer.run(&document, json!({ "keys": keys["keys"] })).await;
        assert!(!reveals(&data), "{what}: {data}");
        assert_eq!(data["_entities"][0], Value::Null);
    }
    let data = graph.follower.run(&document, json!({ "keys": keys["keys"] })).await;
    assert!(reveals(&data) && data["_entities"][0]["body"] == "secret 1");
}

/// A replay reads the current text of a post, which may be newer than the follow.
#[tokio::test]
async fn a_replay_shows_no_posts_of_a_user_who_has_removed_the_follower() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    susan.protect(true).await;
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let after = john.query(cursor).await["viewer"]["user"]["timeline"]["streamCursor"].take();
    let post = susan.write("while john followed").await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
    assert_eq!(summary(&resumed.next().await), "+while john followed");
    susan.mutate("removeFollower(user: {username: \"john\"}) { changed }").await;
    assert_eq!(summary(&resumed.next().await), "!susan");
    let edit = format!("editPost(input: {{id: \"{post}\", body: \"secret\"}}) {{ changed }}");
    susan.mutate(&edit).await;
    resumed.assert_idle().await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
    assert_eq!(summary(&resumed.next().await), "!susan", "the post is left out");
    resumed.assert_idle().await;
}

/// The hub reads the events of a post and of the end of a follow at once.
#[tokio::test]
async fn a_batch_of_events_shows_no_text_that_is_newer_than_the_follow() {
    let app = TestApp::new().await;
    if app.is_on_postgres() {
        // There a transaction has one event, so the hub cannot be made to read both at once.
        return;
    }
    let (john, susan, mary) =
        (app.register("john").await, app.register("susan").await, app.register("mary").await);
    for user in [&john, &mary] {
        user.follow(&susan).await;
    }
    susan.protect(true).await;
    let mut of_john = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_mary = mary.subscribe_and_join(TIMELINE, json!({})).await;
    let transaction = app.database().begin().await.unwrap();
    let [john_id, susan_id] = ["john", "susan"]
        .map(|name| format!("(SELECT id FROM \"user\" WHERE username = '{name}')"));
    for statement in [
        format!(
            "INSERT INTO post (id, author_id, body, created_at, is_public)
             VALUES (1, {susan_id}, 'secret', '2026-01-01T00:00:00+00:00', false)"
        ),
        format!("INSERT INTO feed_item (actor_id, id, post_id, kind) VALUES ({susan_id}, 1, 1, 0)"),
        format!(
            "INSERT INTO event (kind, actor, object, at)
             VALUES (1, {susan_id}, 1, '2026-01-01T00:00:00+00:00')"
        ),
        format!("DELETE FROM follow WHERE follower_id = {john_id}"),
        format!(
            "INSERT INTO event (kind, actor, object, at)
             VALUES (5, {john_id}, {susan_id}, '2026-01-01T00:00:00+00:00')"
        ),
    ] {
        transaction.execute_unprepared(&statement).await.unwrap();
    }
    transaction.commit().await.unwrap();
    app.database().notifier().notify();
    assert_eq!(summary(&of_mary.next().await), "+secret");
    assert_eq!(summary(&of_john.next().await), "!susan");
    of_john.assert_idle().await;
}

/// An event can wait for its client.
#[tokio::test]
async fn an_event_that_has_waited_for_its_client_shows_no_hidden_post() {
    let app = TestApp::new().await;
    let (john, susan, mary) =
        (app.register("john").await, app.register("susan").await, app.register("mary").await);
    for user in [&john, &mary] {
        user.follow(&susan).await;
    }
    susan.protect(true).await;
    let mut of_john = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_mary = mary.subscribe_and_join(TIMELINE, json!({})).await;
    // A stream is at most two responses ahead of its client.
    for n in 1..=4 {
        susan.write(&n.to_string()).await;
    }
    for n in 1..=4 {
        assert_eq!(summary(&of_mary.next().await), format!("+{n}"));
    }
    susan.mutate("removeFollower(user: {username: \"john\"}) { changed }").await;
    let mut received = vec![];
    while received.last().is_none_or(|event| event != "!susan") {
        received.push(summary(&of_john.next().await));
    }
    assert!(!received.contains(&"+4".to_owned()), "{received:?}");
}

/// The follower's timeline has posts of `secret` between its own.
#[tokio::test]
async fn newer_counts_of_a_public_timeline_leave_out_hidden_posts() {
    let app = TestApp::new().await;
    let graph = graph(&app).await;
    let timeline = |arguments: &str| {
        format!(
            "{{ user(by: {{username: \"follower\"}}) {{ timeline({arguments}) {{ newerCount
             nodes {{ body }} pageInfo {{ endCursor }} }} }} }}"
        )
    };
    let viewers = graph.others.iter().map(|(what, viewer)| (*what, viewer, 2));
    for (what, viewer, entries) in viewers.chain([("the owner", &graph.follower, 5)]) {
        let data = viewer.query(&timeline("first: 100")).await;
        let page = &data["user"]["timeline"];
        assert_eq!(texts(&page["nodes"], "body").len(), entries, "{what}");
        let after = format!("after: {}", page["pageInfo"]["endCursor"]);
        let data = viewer.query(&timeline(&after)).await;
        assert_eq!(data["user"]["timeline"]["newerCount"], entries, "{what}");
    }
}
