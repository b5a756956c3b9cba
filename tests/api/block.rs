//! Blocks: no contact in either direction, and follows end with exact counts.
//!
//! Public data stays readable for both users.

use futures_util::future::join_all;
use indicatif::ProgressBar;
use rookery::command::doctor;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::live::{COUNTS, TIMELINE, summary};
use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

/// Executes `block` or `unblock`. Returns `changed` and the relationship.
async fn change(verb: &str, viewer: &Actor<'_>, other: &Actor<'_>) -> (bool, Value) {
    let field = format!(
        "{verb}(user: {{username: \"{}\"}}) {{ changed userErrors {{ code }} user {{ username }}
         viewer {{ user {{ followersCount followingCount }} }}
         relationship {{ followState followedBy blocking blockedBy canFollow cannotFollowReason }}
         }}",
        other.username
    );
    let payload = viewer.mutate(&field).await;
    assert_eq!(payload["userErrors"], json!([]));
    assert_eq!(payload["user"]["username"], other.username.as_str());
    (payload["changed"] == true, payload["relationship"].clone())
}

/// The names that the viewer blocks.
async fn blocked(viewer: &Actor<'_>) -> Vec<String> {
    let list = "{ viewer { blockedUsers { totalCount nodes { username } edges { blockedAt } } } }";
    let data = viewer.query(list).await;
    let list = &data["viewer"]["blockedUsers"];
    let names = texts(&list["nodes"], "username");
    assert_eq!(list["totalCount"], names.len());
    names
}

#[tokio::test]
async fn a_block_ends_follows_in_both_directions_and_refuses_new_ones() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    for (follower, followed) in [(john, susan), (susan, john), (mary, john), (john, mary)] {
        follower.follow(followed).await;
    }
    susan.write("public").await;
    assert_eq!(john.timeline().await, ["public"]);

    let relationship = json!({ "followState": "NOT_FOLLOWING", "followedBy": false,
        "blocking": true, "blockedBy": false, "canFollow": false,
        "cannotFollowReason": "BLOCKED" });
    assert_eq!(change("block", john, susan).await, (true, relationship.clone()));
    assert_eq!(change("block", john, susan).await, (false, relationship), "idempotent");
    assert_eq!((blocked(john).await, blocked(susan).await), (vec!["susan".into()], vec![]));
    let counts = "{ users { nodes { username followersCount followingCount
        followers { totalCount nodes { username } } following { nodes { username } }
        viewerCanFollow } } }";
    let users = mary.query(counts).await["users"]["nodes"].take();
    for user in users.as_array().unwrap() {
        let expected = usize::from(user["username"] == "john" || user["username"] == "mary");
        assert_eq!(user["followersCount"], expected, "{user}");
        assert_eq!(user["followingCount"], expected, "{user}");
        assert_eq!(user["followers"]["nodes"].as_array().unwrap().len(), expected);
        assert_eq!(user["following"]["nodes"].as_array().unwrap().len(), expected);
    }
    assert_eq!(john.timeline().await, Vec::<String>::new());

    for (viewer, other) in [(john, "susan"), (susan, "john")] {
        let follow = format!(
            "follow(user: {{username: \"{other}\"}}) {{ changed
            user {{ id }} userErrors {{ code ... on BlockedError {{ path }} }} }}"
        );
        let payload = viewer.mutate(&follow).await;
        let error = json!([{ "code": "BLOCKED", "path": ["user"] }]);
        assert_eq!(payload, json!({ "changed": false, "user": null, "userErrors": error }));
        let read = format!(
            "{{ user(by: {{username: \"{other}\"}}) {{ viewerCanFollow
            viewerRelationship {{ blocking blockedBy canFollow }} posts {{ totalCount }} }} }}"
        );
        let user = viewer.query(&read).await["user"].take();
        assert_eq!(user["viewerCanFollow"], false);
        let blocking = other == "susan";
        let expected = json!({ "blocking": blocking, "blockedBy": !blocking, "canFollow": false });
        assert_eq!(user["viewerRelationship"], expected);
        assert_eq!(user["posts"]["totalCount"], usize::from(blocking), "public data is readable");
    }
    assert!(mary.follow(susan).await, "others are not concerned");

    // A block by each side: contact needs both to end.
    assert!(change("block", susan, john).await.0);
    assert!(change("unblock", john, susan).await.0);
    assert!(!change("unblock", john, susan).await.0);
    assert_eq!(
        john.user_error("follow(user: {username: \"susan\"}) { userErrors { code } }").await,
        "BLOCKED"
    );
    assert!(change("unblock", susan, john).await.0);
    assert!(john.follow(susan).await, "follows are possible again, and were not restored");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn blocking_rejects_oneself_unknown_users_and_anonymous_clients() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for verb in ["block", "unblock"] {
        let field = |name: &str| {
            format!("{verb}(user: {{username: \"{name}\"}}) {{ changed userErrors {{ code }} }}")
        };
        assert_eq!(john.user_error(&field("JOHN")).await, "SELF_TARGET");
        assert_eq!(john.user_error(&field("unknown")).await, "NOT_FOUND");
        let document = format!("mutation {{ {} }}", field("john"));
        assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_block_resets_the_timelines_that_it_changes_live_and_in_a_replay() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    for (follower, followed) in [(john, susan), (susan, john), (john, mary)] {
        follower.follow(followed).await;
    }
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let start = john.query(cursor).await["viewer"]["user"]["timeline"]["streamCursor"].take();
    let relationships = "subscription { relationshipEvents {
        relationship { blocking blockedBy user { username } } } }";
    let mut timelines = [
        john.subscribe_and_join(TIMELINE, json!({})).await,
        susan.subscribe_and_join(TIMELINE, json!({})).await,
        mary.subscribe_and_join(TIMELINE, json!({})).await,
    ];
    let mut of_john = john.subscribe_and_join(relationships, json!({})).await;
    let mut of_susan = susan.subscribe_and_join(relationships, json!({})).await;

    susan.write("before").await;
    for (timeline, expected) in timelines.iter_mut().zip([true, true, false]) {
        if expected {
            assert_eq!(summary(&timeline.next().await), "+before");
        }
    }
    change("block", susan, john).await;
    assert_eq!(summary(&timelines[0].next().await), "!susan");
    assert_eq!(summary(&timelines[1].next().await), "!john");
    susan.write("not for john").await;
    john.write("not for susan").await;
    mary.write("after").await;
    assert_eq!(summary(&timelines[0].next().await), "+not for susan");
    assert_eq!(summary(&timelines[0].next().await), "+after");
    assert_eq!(summary(&timelines[1].next().await), "+not for john");
    assert_eq!(summary(&timelines[2].next().await), "+after");
    for timeline in &mut timelines {
        timeline.assert_idle().await;
    }
    let expected = json!({ "blocking": false, "blockedBy": true, "user": { "username": "susan" } });
    assert_eq!(of_john.next().await["relationship"], expected);
    let expected = json!({ "blocking": true, "blockedBy": false, "user": { "username": "john" } });
    assert_eq!(of_susan.next().await["relationship"], expected);
    // The end of a block changes timelines too: they may show reposts again.
    change("unblock", susan, john).await;
    assert_eq!(of_john.next().await["relationship"]["blockedBy"], false);
    assert_eq!(summary(&timelines[0].next().await), "!susan");
    assert_eq!(summary(&timelines[1].next().await), "!john");
    // So does a block between users who do not follow each other.
    change("block", mary, susan).await;
    assert_eq!(summary(&timelines[2].next().await), "!susan");
    assert_eq!(summary(&timelines[1].next().await), "!mary");
    mary.write("last").await;
    assert_eq!(summary(&timelines[2].next().await), "+last");
    john.unfollow(mary).await;
    assert_eq!(summary(&timelines[0].next().await), "+last");
    assert_eq!(summary(&timelines[0].next().await), "!mary");
    for timeline in &mut timelines {
        timeline.assert_idle().await;
    }

    // The replay begins with the end of the block. From each of its cursors the rest follows.
    let rest = ["!susan", "+last", "!mary"];
    let mut after = start;
    for received in 0..=rest.len() {
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
        for expected in &rest[received..] {
            let event = resumed.next().await;
            assert_eq!(summary(&event), *expected, "after {received} events");
            if *expected == rest[received] {
                after = event["cursor"].clone();
            }
        }
        resumed.assert_idle().await;
    }
}

/// Neither a follow nor a count survives a block, whatever the order.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_follows_and_blocks_leave_exact_counts() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..6).map(|n| format!("user_{n}")).collect();
    let users = join_all(names.iter().map(|name| app.register(name))).await;
    let writes = (0..150).map(|n| {
        let (viewer, other) = (&users[n % 6], &names[(n + 1 + n / 6 % 5) % 6]);
        let verb = ["follow", "block", "follow", "unblock", "unfollow"][n / 7 % 5];
        let field = format!(
            "mutation {{ {verb}(user: {{username: \"{other}\"}}) {{
            changed userErrors {{ code }} }} }}"
        );
        async move { viewer.execute(&field, json!({})).await }
    });
    for response in join_all(writes).await {
        assert!(response.get("errors").is_none(), "{response}");
        let payload = response["data"].as_object().unwrap().values().next().unwrap();
        for error in payload["userErrors"].as_array().unwrap() {
            assert_eq!(error["code"], "BLOCKED");
        }
    }
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// A block that ended no follow changes no counts.
#[tokio::test]
async fn subscribers_of_counts_notice_only_blocks_that_end_a_follow() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    let mut counts = mary.subscribe_and_join(COUNTS, json!({ "userId": john.id })).await;
    assert_eq!(counts.next().await["followingCount"], 1);
    change("block", john, mary).await;
    change("unblock", john, mary).await;
    change("block", john, susan).await;
    assert_eq!(counts.next().await["followingCount"], 0);
    counts.assert_idle().await;
}

/// The service itself adds no such follow.
#[tokio::test]
async fn a_follow_despite_a_block_is_found_and_removed_by_doctor() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    change("block", &john, &susan).await;
    let insert = "INSERT INTO follow (id, follower_id, followed_id) \
        SELECT 1, blocked_id, blocker_id FROM block";
    let transaction = app.database().begin().await.unwrap();
    transaction.execute_unprepared(insert).await.unwrap();
    transaction.commit().await.unwrap();
    let report = app.doctor_report().await;
    assert!(report.contains("users follow despite a block"), "{report}");
    let hidden = ProgressBar::hidden();
    doctor::run(app.database(), true, &hidden).await.unwrap();
    assert_eq!(app.doctor_report().await, "no problems found\n");
}
