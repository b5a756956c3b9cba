//! Mutes: the muter's timeline leaves out the muted user.
//!
//! The property test of `timeline` compares pages of timelines with mutes with a plain union.

use serde_json::{Value, json};

use crate::live::{FOLLOWS, TIMELINE, summary};
use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

/// Mutes a user with further arguments. Returns `changed`.
async fn mute(viewer: &Actor<'_>, other: &Actor<'_>, arguments: &str) -> bool {
    let field = format!(
        "mute(user: {{username: \"{}\"}}{arguments}) {{ changed userErrors {{ code }}
         user {{ username }} }}",
        other.username
    );
    let payload = viewer.mutate(&field).await;
    let expected = json!({ "changed": payload["changed"], "userErrors": [],
        "user": { "username": other.username } });
    assert_eq!(payload, expected);
    payload["changed"] == true
}

async fn unmute(viewer: &Actor<'_>, other: &Actor<'_>) -> bool {
    let username = &other.username;
    let field = format!("unmute(user: {{username: \"{username}\"}}) {{ changed }}");
    viewer.mutate(&field).await["changed"] == true
}

/// The names and the end of the viewer's mutes.
async fn muted(viewer: &Actor<'_>) -> Vec<(String, Value)> {
    let list = "{ viewer { mutedUsers { totalCount
        edges { expiresAt node { username viewerRelationship { muting mutingUntil } } } } } }";
    let data = viewer.query(list).await;
    let edges = data["viewer"]["mutedUsers"]["edges"].as_array().unwrap();
    assert_eq!(data["viewer"]["mutedUsers"]["totalCount"], edges.len());
    let entry = |edge: &Value| {
        let relationship = &edge["node"]["viewerRelationship"];
        assert_eq!(relationship["muting"], true);
        assert_eq!(relationship["mutingUntil"], edge["expiresAt"]);
        (edge["node"]["username"].as_str().unwrap().to_owned(), edge["expiresAt"].clone())
    };
    edges.iter().map(entry).collect()
}

#[tokio::test]
async fn the_timeline_leaves_out_muted_users_and_no_other_list_does() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    for other in [susan, mary] {
        john.follow(other).await;
    }
    for n in 0..4 {
        susan.write(&format!("susan {n}")).await;
        mary.write(&format!("mary {n}")).await;
    }
    assert!(mute(john, susan, "").await);
    assert!(!mute(john, susan, "").await, "idempotent");
    let query = "{ viewer { user { followingCount timeline(first: 3) { nodes { body }
        pageInfo { hasNextPage endCursor } } } } posts { totalCount }
        user(by: {username: \"susan\"}) { followersCount posts { totalCount } } }";
    let data = john.query(query).await;
    let timeline = &data["viewer"]["user"]["timeline"];
    assert_eq!(texts(&timeline["nodes"], "body"), ["mary 3", "mary 2", "mary 1"], "a full page");
    assert_eq!(timeline["pageInfo"]["hasNextPage"], true);
    assert_eq!(data["viewer"]["user"]["followingCount"], 2);
    assert_eq!(data["posts"]["totalCount"], 8);
    assert_eq!(data["user"], json!({ "followersCount": 1, "posts": { "totalCount": 4 } }));
    let after = timeline["pageInfo"]["endCursor"].as_str().unwrap();
    let newer =
        format!("{{ viewer {{ user {{ timeline(after: \"{after}\") {{ newerCount }} }} }} }}");
    assert_eq!(john.query(&newer).await["viewer"]["user"]["timeline"]["newerCount"], 3);
    let of_john = "{ user(by: {username: \"john\"}) { timeline { nodes { author { username } } } }
        viewer { mutedUsers { totalCount } } }";
    let seen_by_susan = susan.query(of_john).await;
    assert_eq!(seen_by_susan["user"]["timeline"]["nodes"].as_array().unwrap().len(), 4);
    assert_eq!(seen_by_susan["viewer"]["mutedUsers"]["totalCount"], 0);

    assert!(unmute(john, susan).await);
    assert!(!unmute(john, susan).await);
    assert_eq!(john.timeline().await.len(), 8);
    // A mute needs no follow, and outlives it.
    assert!(mute(mary, john, "").await);
    mary.follow(john).await;
    john.write("muted").await;
    assert_eq!(mary.timeline().await.len(), 4);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_mute_ends_at_its_time_and_its_settings_can_change() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    susan.write("one").await;
    assert!(mute(john, susan, ", notifications: false").await);
    assert_eq!(muted(john).await, [("susan".to_owned(), json!(null))]);
    assert!(mute(john, susan, ", expiresInSeconds: 3600").await);
    assert!(muted(john).await[0].1.is_string());
    assert_eq!(john.timeline().await, Vec::<String>::new());

    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    assert!(mute(john, susan, ", expiresInSeconds: 1").await);
    assert_eq!(summary(&events.next().await), "!susan");
    // The next read after the end shows the posts; the stream is reset soon.
    assert_eq!(summary(&events.next().await), "!susan");
    assert_eq!(john.timeline().await, ["one"]);
    assert_eq!(muted(john).await, []);
    susan.write("two").await;
    assert_eq!(summary(&events.next().await), "+two");
    assert!(!unmute(john, susan).await);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn muting_rejects_oneself_unknown_users_wrong_times_and_anonymous_clients() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for verb in ["mute", "unmute"] {
        let field = |name: &str| {
            format!("{verb}(user: {{username: \"{name}\"}}) {{ changed userErrors {{ code }} }}")
        };
        assert_eq!(john.user_error(&field("JOHN")).await, "SELF_TARGET");
        assert_eq!(john.user_error(&field("unknown")).await, "NOT_FOUND");
        let document = format!("mutation {{ {} }}", field("john"));
        assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    }
    app.register("susan").await;
    for seconds in [0, -1, 315_360_001] {
        let document = format!(
            "mutation {{ mute(user: {{username: \"susan\"}}, expiresInSeconds: {seconds}) {{
             changed }} }}"
        );
        assert_eq!(john.error(&document).await, "ARGUMENT_OUT_OF_RANGE");
    }
    assert_eq!(muted(&john).await, []);
}

#[tokio::test]
async fn streams_leave_out_muted_users_and_only_the_muter_is_informed() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    for other in [susan, mary] {
        john.follow(other).await;
    }
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let start = john.query(cursor).await["viewer"]["user"]["timeline"]["streamCursor"].take();
    let mut timeline = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_john = john.subscribe_and_join(FOLLOWS, json!({})).await;
    let mut of_susan = susan.subscribe_and_join(FOLLOWS, json!({})).await;
    susan.write("before").await;
    mute(john, susan, "").await;
    susan.write("muted").await;
    mary.write("shown").await;
    for expected in ["+before", "!susan", "+shown"] {
        assert_eq!(summary(&timeline.next().await), expected);
    }
    // A client that joins now receives no post of the muted user either.
    let mut joined = john.subscribe_and_join(TIMELINE, json!({})).await;
    susan.write("still muted").await;
    unmute(john, susan).await;
    susan.write("after").await;
    for stream in [&mut timeline, &mut joined] {
        assert_eq!(summary(&stream.next().await), "!susan");
        assert_eq!(summary(&stream.next().await), "+after");
        stream.assert_idle().await;
    }
    for _ in 0..2 {
        assert_eq!(of_john.next().await["relationship"]["user"]["username"], "susan");
    }
    of_susan.assert_idle().await;
    // The replay begins with the last change.
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    for expected in ["!susan", "+after"] {
        assert_eq!(summary(&resumed.next().await), expected);
    }
    // A mute of a user who is not followed hides reposts of this user's posts.
    mute(john, &actors.david, "").await;
    for stream in [&mut timeline, &mut joined, &mut resumed] {
        assert_eq!(summary(&stream.next().await), "!david");
        stream.assert_idle().await;
    }
}

#[tokio::test]
async fn deleting_an_account_updates_the_counts_of_its_muters() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.mutate("block(user: {username: \"susan\"}) { changed }").await;
    mute(john, susan, "").await;
    mute(susan, john, "").await;
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(susan.mutate(&delete).await["changed"], true);
    assert_eq!(muted(john).await, []);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}
