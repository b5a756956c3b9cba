//! `followMany`: many follows in one transaction, with a result for each.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::live::{COUNTS, TIMELINE, summary};
use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp};

const FOLLOW_MANY: &str = "mutation ($ids: [ID!]!) { followMany(userIds: $ids) { changed
    results { status user { username followersCount } relationship { followState }
        error { __typename code path ... on FollowLimitError { limit } } }
    viewer { user { followingCount } } userErrors { code } } }";

/// Follows users by id. Returns the payload.
async fn follow_many(viewer: &Actor<'_>, ids: &[&str]) -> Value {
    let payload = viewer.run(FOLLOW_MANY, json!({ "ids": ids })).await["followMany"].take();
    assert_eq!(payload["userErrors"], json!([]));
    assert_eq!(payload["results"].as_array().unwrap().len(), ids.len());
    payload
}

fn success(status: &str, name: &str, followers: i32, state: &str) -> Value {
    json!({ "status": status, "user": { "username": name, "followersCount": followers },
        "relationship": { "followState": state }, "error": null })
}

fn refused(error: &str, code: &str) -> Value {
    json!({ "status": "REFUSED", "user": null, "relationship": null,
        "error": { "__typename": error, "code": code, "path": ["userIds"] } })
}

#[tokio::test]
async fn follow_many_has_a_result_for_each_user_in_order() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    let (blocker, gone, asked) =
        (app.register("blocker").await, app.register("gone").await, app.register("asked").await);
    gone.mutate(&format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}")).await;
    blocker.mutate("block(user: {username: \"john\"}) { changed }").await;
    for user in [david, &asked] {
        user.protect(true).await;
    }
    john.follow(susan).await;
    john.follow(&asked).await;
    // The request is not needed any more.
    asked.protect(false).await;
    let ids = [
        &susan.id,
        &mary.id,
        &david.id,
        &john.id,
        &gone.id,
        &blocker.id,
        &mary.id,
        &asked.id,
        &david.id,
    ];
    let ids: Vec<&str> = ids.into_iter().map(String::as_str).collect();
    let payload = follow_many(john, &ids).await;
    let expected = json!([
        success("UNCHANGED", "susan", 1, "FOLLOWING"),
        success("FOLLOWED", "mary", 1, "FOLLOWING"),
        success("REQUESTED", "david", 0, "REQUESTED"),
        refused("SelfTargetError", "SELF_TARGET"),
        refused("NotFoundError", "NOT_FOUND"),
        refused("BlockedError", "BLOCKED"),
        success("UNCHANGED", "mary", 1, "FOLLOWING"),
        success("FOLLOWED", "asked", 1, "FOLLOWING"),
        success("UNCHANGED", "david", 0, "REQUESTED"),
    ]);
    assert_eq!(payload["results"], expected);
    assert_eq!(payload["changed"], true);
    assert_eq!(payload["viewer"]["user"]["followingCount"], 3);
    let again = follow_many(john, &ids[..3]).await;
    assert_eq!(again["changed"], false, "idempotent");
    assert_eq!(app.doctor_report().await, "no problems found\n");

    let many: Vec<&str> = std::iter::repeat_n(&*mary.id, 101).collect();
    for (ids, code) in [
        (json!([]), "ARGUMENT_OUT_OF_RANGE"),
        (json!(many), "ARGUMENT_OUT_OF_RANGE"),
        (json!(["x"]), "INVALID_ID"),
    ] {
        let response = john.execute(FOLLOW_MANY, json!({ "ids": ids })).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], code);
    }
    let anonymous = app.anonymous().execute(FOLLOW_MANY, json!({ "ids": [mary.id] })).await;
    assert_eq!(anonymous["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn limits_refuse_the_last_users_of_follow_many() {
    let app = TestApp::with(&["--max-following", "3", "--max-follows-per-day", "5"]).await;
    let john = app.register("john").await;
    let mut others = Vec::new();
    for n in 0..6 {
        let user = app.register(&format!("u{n}")).await;
        user.protect(n == 0).await;
        others.push(user);
    }
    let ids: Vec<&str> = others.iter().map(|user| &*user.id).collect();
    let statuses = |payload: &Value| -> Vec<Value> {
        let results = payload["results"].as_array().unwrap().iter();
        results.map(|result| json!([result["status"], result["error"]["limit"]])).collect()
    };
    // A request counts for the day, and not for the total.
    let payload = follow_many(&john, &ids).await;
    let expected = [
        json!(["REQUESTED", null]),
        json!(["FOLLOWED", null]),
        json!(["FOLLOWED", null]),
        json!(["FOLLOWED", null]),
        json!(["REFUSED", 3]),
        json!(["REFUSED", 3]),
    ];
    assert_eq!(statuses(&payload), expected);
    john.unfollow(&others[1]).await;
    john.unfollow(&others[2]).await;
    let payload = follow_many(&john, &ids[4..]).await;
    assert_eq!(statuses(&payload), [json!(["FOLLOWED", null]), json!(["REFUSED", 5])]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn follow_many_takes_the_same_number_of_statements_for_any_number_of_users() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(app.register(&format!("u{n}")).await.id);
    }
    let short = "mutation ($ids: [ID!]!) { followMany(userIds: $ids) { results {
        status user { followersCount } relationship { followState } } } }";
    let mut counts = Vec::new();
    for range in [0..1, 1..11, 11..30] {
        let variables = json!({ "ids": &ids[range] });
        let (response, statements) = app.count_statements(john.run(short, variables)).await;
        assert!(response["followMany"]["results"].is_array());
        counts.push(statements);
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[tokio::test]
async fn follow_many_informs_both_sides_and_resets_the_timeline_once() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    david.protect(true).await;
    let relationships = "subscription { relationshipEvents {
        relationship { followState followedBy requestedBy user { username } } } }";
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let start = john.query(cursor).await["viewer"]["user"]["timeline"]["streamCursor"].take();
    let mut of_john = john.subscribe_and_join(relationships, json!({})).await;
    let mut of_susan = susan.subscribe_and_join(relationships, json!({})).await;
    let mut of_david = david.subscribe_and_join(relationships, json!({})).await;
    let mut counts = mary.subscribe_and_join(COUNTS, json!({ "userId": mary.id })).await;
    assert_eq!(counts.next().await["followersCount"], 0);
    let mut timeline = john.subscribe_and_join(TIMELINE, json!({})).await;
    follow_many(john, &[&susan.id, &mary.id, &david.id]).await;
    susan.write("from susan").await;
    mary.write("from mary").await;

    for (name, state) in [("susan", "FOLLOWING"), ("mary", "FOLLOWING"), ("david", "REQUESTED")] {
        let relationship = of_john.next().await["relationship"].take();
        assert_eq!(relationship["user"]["username"], name);
        assert_eq!(relationship["followState"], state);
    }
    assert_eq!(of_susan.next().await["relationship"]["followedBy"], true);
    assert_eq!(of_david.next().await["relationship"]["requestedBy"], true);
    assert_eq!(counts.next().await["followersCount"], 1);
    let expected = ["!null", "+from susan", "+from mary"];
    for expected in expected {
        assert_eq!(summary(&timeline.next().await), expected);
    }
    for stream in [&mut of_john, &mut of_susan, &mut of_david, &mut timeline] {
        stream.assert_idle().await;
    }
    // A replay has the same events.
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    for expected in expected {
        assert_eq!(summary(&resumed.next().await), expected);
    }
    // Only requests change no timeline.
    let kate = app.register("kate").await;
    kate.protect(true).await;
    follow_many(john, &[&kate.id]).await;
    timeline.assert_idle().await;
    resumed.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_follows_of_many_users_leave_exact_counts() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..6).map(|n| format!("user_{n}")).collect();
    let users = join_all(names.iter().map(|name| app.register(name))).await;
    let ids: Vec<&str> = users.iter().map(|user| &*user.id).collect();
    let writes = (0..60).map(|n| {
        let (viewer, ids) = (&users[n % 6], &ids);
        let unfollow = format!(
            "mutation {{ unfollow(user: {{username: \"{}\"}}) {{ userErrors {{ code }} }} }}",
            names[(n + 1) % 6]
        );
        async move {
            if n / 6 % 2 == 0 {
                viewer.execute(FOLLOW_MANY, json!({ "ids": ids })).await
            } else {
                viewer.execute(&unfollow, json!({})).await
            }
        }
    });
    for response in join_all(writes).await {
        assert!(response.get("errors").is_none(), "{response}");
    }
    assert_eq!(app.doctor_report().await, "no problems found\n");
}
