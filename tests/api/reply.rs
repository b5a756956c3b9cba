//! Replies: conversations in both directions, counts, visibility, deletions.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

/// What a viewer sees of a post, found by its id.
async fn seen(viewer: &Actor<'_>, post: &str) -> Value {
    let document = "query ($id: ID!) { node(id: $id) { ... on Post { body isReply repliesCount
        viewerCanReply inReplyTo { body } ancestors { body }
        replies { totalCount nodes { body } } } } }";
    let mut post = viewer.run(document, json!({ "id": post })).await["node"].take();
    if !post.is_null() {
        post["ancestors"] = json!(texts(&post["ancestors"], "body"));
        post["replies"]["nodes"] = json!(texts(&post["replies"]["nodes"], "body"));
    }
    post
}

/// A mutation field that replies to a post.
fn reply_to(post: &str) -> String {
    format!(
        "createPost(input: {{body: \"x\", inReplyToId: \"{post}\"}}) {{
         post {{ id }} timelineEdge {{ cursor }} userErrors {{ __typename code path }} }}"
    )
}

/// The user error of a reply.
fn failure(ty: &str, code: &str) -> Value {
    let error = json!([{ "__typename": ty, "code": code, "path": ["input", "inReplyToId"] }]);
    json!({ "post": null, "timelineEdge": null, "userErrors": error })
}

async fn delete_post(author: &Actor<'_>, post: &str) -> bool {
    let payload = author.mutate(&format!("deletePost(id: \"{post}\") {{ changed }}")).await;
    payload["changed"] == true
}

/// Numbers of a user's posts: stored, in the list, and in the list without replies.
async fn counts(app: &TestApp, username: &str) -> [i64; 3] {
    let document = format!(
        "{{ user(by: {{username: \"{username}\"}}) {{ postsCount posts {{ totalCount }}
         originals: posts(filter: {{replies: false}}) {{ totalCount nodes {{ isReply }} }} }} }}"
    );
    let user = app.anonymous().query(&document).await["user"].take();
    let originals = user["originals"]["nodes"].as_array().unwrap();
    assert!(originals.iter().all(|post| post["isReply"] == false), "{user}");
    assert_eq!(user["originals"]["totalCount"], originals.len());
    ["/postsCount", "/posts/totalCount", "/originals/totalCount"]
        .map(|path| user.pointer(path).unwrap().as_i64().unwrap())
}

#[tokio::test]
async fn replies_form_a_conversation_with_exact_counts() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let root = john.write("root").await;
    let alone = json!({ "body": "root", "isReply": false, "repliesCount": 0,
        "viewerCanReply": true, "inReplyTo": null, "ancestors": [],
        "replies": { "totalCount": 0, "nodes": [] } });
    assert_eq!(seen(&susan, &root).await, alone);

    let first = susan.reply(&root, "first").await;
    let second = john.reply(&root, "second").await;
    let nested = john.reply(&first, "nested").await;
    assert_eq!(
        seen(&susan, &root).await["replies"],
        json!({ "totalCount": 2, "nodes": ["first", "second"] }),
        "oldest first"
    );
    let expected = json!({ "body": "nested", "isReply": true, "repliesCount": 0,
        "viewerCanReply": true, "inReplyTo": { "body": "first" }, "ancestors": ["root", "first"],
        "replies": { "totalCount": 0, "nodes": [] } });
    assert_eq!(seen(&susan, &nested).await, expected);
    assert_eq!(seen(&app.anonymous(), &nested).await["viewerCanReply"], false);
    assert_eq!((counts(&app, "john").await, counts(&app, "susan").await), ([3, 3, 1], [1, 1, 0]));
    // A reply is in the author's timeline like any other post.
    assert_eq!(john.timeline().await, ["nested", "second", "root"]);

    assert!(delete_post(&john, &second).await);
    assert!(!delete_post(&john, &second).await, "deleted already");
    assert_eq!(seen(&susan, &root).await["repliesCount"], 1);
    assert_eq!(counts(&app, "john").await, [2, 2, 1]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn replying_rejects_unknown_and_hidden_posts_wrong_ids_and_anonymous_clients() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let deleted = susan.write("deleted").await;
    delete_post(&susan, &deleted).await;
    let hidden = susan.write("hidden").await;
    susan.protect(true).await;
    for post in [&deleted, &hidden] {
        let expected = failure("NotFoundError", "NOT_FOUND");
        assert_eq!(john.mutate(&reply_to(post)).await, expected);
    }
    let document = |post: &str| format!("mutation {{ {} }}", reply_to(post));
    assert_eq!(john.error(&document(&susan.id)).await, "INVALID_ID");
    assert_eq!(app.anonymous().error(&document(&hidden)).await, "UNAUTHENTICATED");
    assert_eq!(counts(&app, "john").await, [0, 0, 0], "nothing was written");
    susan.reply(&hidden, "to oneself").await;
    assert_eq!(seen(&susan, &hidden).await["repliesCount"], 1);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_block_in_either_direction_prevents_replies_and_hides_none() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let (johns, susans) = (john.write("john's").await, susan.write("susan's").await);
    john.reply(&susans, "before").await;
    let change = async |verb: &str, viewer: &Actor<'_>, other: &str| {
        viewer.mutate(&format!("{verb}(user: {{username: \"{other}\"}}) {{ changed }}")).await
    };
    change("block", &john, "susan").await;
    for (viewer, post) in [(&john, &susans), (&susan, &johns)] {
        let expected = failure("BlockedError", "BLOCKED");
        assert_eq!(viewer.mutate(&reply_to(post)).await, expected);
        let other = seen(viewer, post).await;
        assert_eq!(other["viewerCanReply"], false, "{other}");
    }
    assert_eq!(seen(&susan, &susans).await["replies"]["nodes"], json!(["before"]));
    assert_eq!(seen(&john, &johns).await["viewerCanReply"], true, "one's own posts");
    john.reply(&johns, "to oneself").await;
    change("unblock", &john, "susan").await;
    john.reply(&susans, "after").await;
    assert_eq!(seen(&susan, &susans).await["repliesCount"], 2);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// The middle post of a chain is deleted, and then the account of the first author.
#[tokio::test]
async fn replies_outlive_the_post_that_they_reply_to() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let root = john.write("root").await;
    let middle = susan.reply(&root, "middle").await;
    let low = john.reply(&middle, "low").await;
    let lowest = mary.reply(&low, "lowest").await;
    let all = json!(["root", "middle", "low"]);
    assert_eq!(seen(mary, &lowest).await["ancestors"], all);

    assert!(delete_post(susan, &middle).await);
    assert_eq!(seen(mary, &root).await["repliesCount"], 0);
    let orphan = seen(mary, &low).await;
    assert_eq!(
        json!([orphan["isReply"], orphan["inReplyTo"], orphan["ancestors"]]),
        json!([true, null, []])
    );
    assert_eq!(seen(mary, &lowest).await["ancestors"], json!(["low"]), "up to the gap");
    assert_eq!(counts(&app, "john").await, [2, 2, 1], "it still counts as a reply");
    assert_eq!(john.user_error(&reply_to(&middle)).await, "NOT_FOUND");
    assert_eq!(app.doctor_report().await, "no problems found\n");

    // John answers mary twice and himself once. Only mary's counts are left to correct.
    let marys = mary.write("mary's").await;
    let answer = john.reply(&marys, "one").await;
    john.reply(&marys, "two").await;
    john.reply(&answer, "to oneself").await;
    let kept = susan.reply(&answer, "kept").await;
    susan.reply(&marys, "three").await;
    assert_eq!(seen(mary, &marys).await["repliesCount"], 3);
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(john.mutate(&delete).await["changed"], true);
    let post = seen(mary, &marys).await;
    assert_eq!(post["repliesCount"], 1);
    assert_eq!(post["replies"], json!({ "totalCount": 1, "nodes": ["three"] }));
    let kept = seen(mary, &kept).await;
    assert_eq!(json!([kept["isReply"], kept["inReplyTo"]]), json!([true, null]));
    assert_eq!(counts(&app, "mary").await, [2, 2, 1]);
    assert!(delete_post(mary, &lowest).await, "a reply whose parent is gone");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// `repliesCount` has all replies, and `totalCount` those that are visible.
#[tokio::test]
async fn replies_of_protected_users_are_counted_and_not_shown() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    mary.follow(susan).await;
    let root = john.write("root").await;
    let hidden = susan.reply(&root, "hidden").await;
    john.reply(&root, "open").await;
    let below = mary.reply(&hidden, "below").await;
    susan.protect(true).await;
    let anonymous = app.anonymous();
    let cases: [(&Actor<'_>, &[&str], &[&str]); 3] = [
        (mary, &["hidden", "open"], &["root", "hidden"]),
        (john, &["open"], &[]),
        (&anonymous, &["open"], &[]),
    ];
    for (viewer, replies, ancestors) in cases {
        let post = seen(viewer, &root).await;
        assert_eq!(post["repliesCount"], 2);
        assert_eq!(post["replies"], json!({ "totalCount": replies.len(), "nodes": replies }));
        let post = seen(viewer, &below).await;
        assert_eq!(post["isReply"], true);
        assert_eq!(post["ancestors"], json!(ancestors), "a hidden post ends the chain");
        assert_eq!(post["inReplyTo"].is_null(), ancestors.is_empty());
    }
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn ancestors_are_the_nearest_forty() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let mut posts = vec![john.write("post 0").await];
    for n in 1..45 {
        let post = john.reply(&posts[n - 1], &format!("post {n}")).await;
        posts.push(post);
    }
    let names = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|n| format!("post {n}")).collect()
    };
    for (post, expected) in
        [(44, names(4..44)), (41, names(1..41)), (40, names(0..40)), (2, names(0..2))]
    {
        assert_eq!(seen(&john, &posts[post]).await["ancestors"], json!(expected));
    }
    // Chains that share posts do not limit each other.
    let document =
        "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Post { ancestors { body } } } }";
    let data = john.run(document, json!({ "ids": [posts[44], posts[3], posts[43]] })).await;
    let lengths = data["nodes"].as_array().unwrap().iter();
    let lengths: Vec<usize> =
        lengths.map(|post| post["ancestors"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [40, 3, 40]);
    assert_eq!(texts(&data["nodes"][2]["ancestors"], "body"), names(3..43));
}

#[tokio::test]
async fn replies_are_read_page_by_page_in_both_directions() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let root = john.write("root").await;
    for n in 0..5 {
        john.reply(&root, &format!("reply {n}")).await;
    }
    let page = async |arguments: &str| {
        let document = format!(
            "{{ node(id: \"{root}\") {{ ... on Post {{ replies({arguments}) {{ nodes {{ body }}
             pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }} }}"
        );
        let replies = john.query(&document).await["node"]["replies"].take();
        let info = &replies["pageInfo"];
        let flags = (info["hasPreviousPage"] == true, info["hasNextPage"] == true);
        let cursors = (info["startCursor"].clone(), info["endCursor"].clone());
        (texts(&replies["nodes"], "body"), flags, cursors)
    };
    let (rows, flags, (_, end)) = page("first: 2").await;
    assert_eq!((rows, flags), (vec!["reply 0".into(), "reply 1".into()], (false, true)));
    john.reply(&root, "reply 5").await;
    let (rows, flags, (start, end)) = page(&format!("first: 2, after: {end}")).await;
    assert_eq!((rows, flags), (vec!["reply 2".into(), "reply 3".into()], (true, true)));
    let (rows, flags, _) = page(&format!("first: 2, after: {end}")).await;
    assert_eq!((rows, flags), (vec!["reply 4".into(), "reply 5".into()], (true, false)));
    let (rows, flags, _) = page(&format!("last: 1, before: {start}")).await;
    assert_eq!((rows, flags), (vec!["reply 1".into()], (true, true)));
    let (rows, flags, _) = page("last: 1").await;
    assert_eq!((rows, flags), (vec!["reply 5".into()], (true, false)));
}

#[tokio::test]
async fn posts_without_replies_have_pages_and_cursors_of_their_own() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let mut last = john.write("post 0").await;
    for n in 1..4 {
        for m in 0..3 {
            last = john.reply(&last, &format!("reply {n}{m}")).await;
        }
        last = john.write(&format!("post {n}")).await;
    }
    let document = |filter: &str, page: &str| {
        format!(
            "{{ viewer {{ user {{ posts({page} {filter}) {{ totalCount nodes {{ body }}
             pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }} }}"
        )
    };
    let page = async |filter: &str, page: &str| {
        john.query(&document(filter, page)).await["viewer"]["user"]["posts"].take()
    };
    let without = "filter: {replies: false}";
    let first = page(without, "first: 3").await;
    assert_eq!(texts(&first["nodes"], "body"), ["post 3", "post 2", "post 1"]);
    assert_eq!(
        (&first["totalCount"], &first["pageInfo"]["hasNextPage"]),
        (&json!(4), &json!(true))
    );
    let after = format!("first: 3, after: {}", first["pageInfo"]["endCursor"]);
    let rest = page(without, &after).await;
    assert_eq!(texts(&rest["nodes"], "body"), ["post 0"]);
    assert_eq!(rest["pageInfo"]["hasNextPage"], false);
    let before = format!("last: 2, before: {}", first["pageInfo"]["endCursor"]);
    assert_eq!(texts(&page(without, &before).await["nodes"], "body"), ["post 3", "post 2"]);

    // Without conditions, a filter is none.
    let all = ["", "filter: {}", "filter: {replies: true}", "filter: null"];
    for filter in all {
        let posts = page(filter, "first: 2").await;
        assert_eq!(posts["totalCount"], 13, "{filter}");
        assert_eq!(texts(&posts["nodes"], "body"), ["post 3", "reply 32"]);
        let after = format!("first: 1, after: {}", posts["pageInfo"]["endCursor"]);
        for same in all {
            assert_eq!(texts(&page(same, &after).await["nodes"], "body"), ["reply 31"]);
        }
        assert_eq!(john.error(&document(without, &after)).await, "INVALID_CURSOR");
    }
    for filter in all {
        assert_eq!(john.error(&document(filter, &before)).await, "INVALID_CURSOR");
    }
}

/// Posts of a conversation take one statement for each kind of read.
#[tokio::test]
async fn statement_count_of_conversations_is_independent_of_the_number_of_posts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    for n in 0..100 {
        let root = john.write(&format!("root {n}")).await;
        let reply = susan.reply(&root, &format!("reply {n}")).await;
        mary.reply(&reply, &format!("answer {n}")).await;
    }
    for posts in [1, 10, 100] {
        let document = format!(
            "{{ user(by: {{username: \"susan\"}}) {{ posts(first: {posts}) {{ nodes {{ isReply
             repliesCount viewerCanReply inReplyTo {{ body }} ancestors {{ body }}
             replies(first: 2) {{ totalCount nodes {{ body }} }} }} }} }} }}"
        );
        let (data, statements) = app.count_statements(john.query(&document)).await;
        let nodes = data["user"]["posts"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), posts);
        assert_eq!(nodes[0]["ancestors"][0]["body"], "root 99");
        assert_eq!(nodes[0]["replies"]["nodes"][0]["body"], "answer 99");
        // Session, susan, posts; parents, ancestors, relationships, pages and numbers of replies.
        assert_eq!(statements, 8, "{posts} posts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_replies_and_deletions_keep_counts_exact() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let root = john.write("root").await;
    let middle = susan.reply(&root, "middle").await;
    let authors = [john, susan, mary];
    let replies = join_all((0..30_usize).map(|n| {
        let author = authors[n % 3];
        let post = if (n / 3).is_multiple_of(2) { &root } else { &middle };
        async move {
            let payload = author.mutate(&reply_to(post)).await;
            if let (0, Some(id)) = (n / 3 % 3, payload["post"]["id"].as_str()) {
                delete_post(author, id).await;
            }
        }
    }));
    let deletion = async {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        delete_post(susan, &middle).await;
    };
    tokio::join!(replies, deletion);
    let post = seen(mary, &root).await;
    assert_eq!(post["repliesCount"], post["replies"]["totalCount"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}
