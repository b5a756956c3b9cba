//! Requests to follow protected users: make, withdraw, accept and reject them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::live::{COUNTS, TIMELINE, summary};
use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

/// Executes a mutation of the viewer's relationship. Returns `changed`.
async fn change(verb: &str, viewer: &Actor<'_>, other: &Actor<'_>) -> bool {
    let username = &other.username;
    let field =
        format!("{verb}(user: {{username: \"{username}\"}}) {{ changed userErrors {{ code }} }}");
    let payload = viewer.mutate(&field).await;
    assert_eq!(payload["userErrors"], json!([]), "{verb} by {}", viewer.username);
    payload["changed"] == true
}

/// The names in the viewer's lists of received and sent requests.
async fn requests(viewer: &Actor<'_>) -> (Vec<String>, Vec<String>) {
    let body = "{ totalCount nodes { username } edges { requestedAt node { username } } }";
    let lists = format!("{{ viewer {{ followRequests {body} sentFollowRequests {body} }} }}");
    let data = viewer.query(&lists).await;
    let names = |list: &str| {
        let list = &data["viewer"][list];
        let names = texts(&list["nodes"], "username");
        assert_eq!(list["totalCount"], names.len());
        assert!(
            list["edges"].as_array().unwrap().iter().all(|edge| edge["requestedAt"].is_string())
        );
        names
    };
    (names("followRequests"), names("sentFollowRequests"))
}

async fn relationship(viewer: &Actor<'_>, other: &Actor<'_>) -> Value {
    let document = format!(
        "{{ user(by: {{username: \"{}\"}}) {{ followersCount viewerCanSee viewerCanFollow
         viewerRelationship {{ followState followedAt followedBy requestedBy canFollow }} }} }}",
        other.username
    );
    viewer.query(&document).await["user"].take()
}

#[tokio::test]
async fn a_follow_of_a_protected_user_waits_for_consent() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    mary.follow(susan).await;
    susan.protect(true).await;
    susan.write("for followers").await;

    let follow = "follow(user: {username: \"susan\"}) { changed user { followersCount }
        follower { followingCount } followingEdge { cursor } followerEdge { cursor }
        relationship { followState followedAt canFollow cannotFollowReason } userErrors { code } }";
    let requested = |changed| {
        json!({ "changed": changed, "user": { "followersCount": 1 },
            "follower": { "followingCount": 0 }, "followingEdge": null, "followerEdge": null,
            "relationship": { "followState": "REQUESTED", "followedAt": null, "canFollow": true,
                "cannotFollowReason": null }, "userErrors": [] })
    };
    assert_eq!(john.mutate(follow).await, requested(true));
    assert_eq!(john.mutate(follow).await, requested(false), "idempotent");
    assert_eq!(requests(john).await, (vec![], vec!["susan".into()]));
    assert_eq!(requests(susan).await, (vec!["john".into()], vec![]));
    let of_john = relationship(susan, john).await;
    assert_eq!(of_john["viewerRelationship"]["requestedBy"], true);
    assert_eq!(of_john["viewerRelationship"]["followedBy"], false);
    assert_eq!(relationship(john, susan).await["viewerCanSee"], false);
    assert!(john.timeline().await.is_empty());
    assert!(!change("follow", mary, susan).await, "a present follower stays one");

    // Withdrawn, asked again, rejected, asked again, accepted.
    assert!(change("unfollow", john, susan).await);
    assert!(!change("unfollow", john, susan).await);
    assert_eq!(requests(susan).await, (vec![], vec![]));
    assert!(change("follow", john, susan).await);
    assert!(change("rejectFollowRequest", susan, john).await);
    assert!(!change("rejectFollowRequest", susan, john).await);
    assert!(change("follow", john, susan).await);
    assert!(change("acceptFollowRequest", susan, john).await);
    assert!(!change("acceptFollowRequest", susan, john).await, "idempotent");
    let of_susan = relationship(john, susan).await;
    assert_eq!(of_susan["viewerRelationship"]["followState"], "FOLLOWING");
    assert_eq!((&of_susan["followersCount"], &of_susan["viewerCanSee"]), (&json!(2), &json!(true)));
    assert_eq!(john.timeline().await, ["for followers"]);
    assert_eq!((requests(john).await, requests(susan).await), Default::default());

    // A request outlasts the protection, and a follow without protection ends it.
    assert!(change("removeFollower", susan, john).await);
    assert!(john.timeline().await.is_empty());
    assert!(change("follow", john, susan).await);
    susan.protect(false).await;
    assert_eq!(requests(susan).await.0, ["john"]);
    assert!(change("follow", john, susan).await);
    assert_eq!(requests(susan).await.0, Vec::<String>::new());
    assert_eq!(john.timeline().await, ["for followers"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn requests_are_refused_with_a_reason() {
    let app = TestApp::with(&["--max-following", "2", "--max-follows-per-day", "4"]).await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    let field = |verb: &str, name: &str| {
        format!("{verb}(user: {{username: \"{name}\"}}) {{ changed userErrors {{ code }} }}")
    };
    for verb in ["acceptFollowRequest", "rejectFollowRequest"] {
        assert_eq!(susan.user_error(&field(verb, "SUSAN")).await, "SELF_TARGET");
        assert_eq!(susan.user_error(&field(verb, "unknown")).await, "NOT_FOUND");
        let document = format!("mutation {{ {} }}", field(verb, "john"));
        assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    }
    let accept = field("acceptFollowRequest", "john");
    assert_eq!(susan.user_error(&accept).await, "NOT_FOUND", "john has not asked");
    let null = "updateProfile(input: {isProtected: null}) { userErrors { code path } }";
    let expected = json!([{ "code": "INVALID_INPUT", "path": ["input", "isProtected"] }]);
    assert_eq!(susan.mutate(null).await["userErrors"], expected);

    // The maximum of follows is checked when the request is accepted, too.
    for protected in [susan, mary, david] {
        protected.protect(true).await;
        assert!(change("follow", john, protected).await);
    }
    assert!(change("acceptFollowRequest", susan, john).await);
    assert!(change("acceptFollowRequest", mary, john).await);
    assert_eq!(david.user_error(&accept).await, "FOLLOW_LIMIT_REACHED");
    assert_eq!(requests(david).await.0, ["john"], "a refused acceptance changes nothing");
    // A request counts as a follow of the day, and its acceptance does not.
    assert!(change("unfollow", john, mary).await);
    assert!(change("follow", john, mary).await, "the fourth of the day");
    assert!(change("unfollow", john, mary).await);
    let error = john.user_error(&field("follow", "mary")).await;
    assert_eq!(error, "FOLLOW_LIMIT_REACHED");
    assert!(change("acceptFollowRequest", david, john).await);

    // A block ends requests in both directions.
    let (kate, paul) = (app.register("kate").await, app.register("paul").await);
    for user in [&kate, &paul] {
        user.protect(true).await;
    }
    assert!(change("follow", &kate, &paul).await);
    assert!(change("follow", &paul, &kate).await);
    assert!(change("block", &kate, &paul).await);
    assert_eq!((requests(&kate).await, requests(&paul).await), Default::default());
    for (viewer, other) in [(&kate, "paul"), (&paul, "kate")] {
        assert_eq!(viewer.user_error(&field("follow", other)).await, "BLOCKED");
        assert_eq!(viewer.user_error(&field("acceptFollowRequest", other)).await, "NOT_FOUND");
    }
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn both_users_receive_events_of_a_request_and_counts_change_only_with_a_follow() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    susan.protect(true).await;
    let relationships = "subscription { relationshipEvents {
        relationship { followState followedBy requestedBy user { username } } } }";
    let mut of_john = john.subscribe_and_join(relationships, json!({})).await;
    let mut of_susan = susan.subscribe_and_join(relationships, json!({})).await;
    let mut timeline = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut counts = actors.mary.subscribe_and_join(COUNTS, json!({ "userId": susan.id })).await;
    assert_eq!(counts.next().await["followersCount"], 0);

    let steps = [
        ("follow", true),
        ("unfollow", true),
        ("follow", true),
        ("rejectFollowRequest", false),
        ("follow", true),
        ("acceptFollowRequest", false),
    ];
    for (verb, by_john) in steps {
        let (viewer, other) = if by_john { (john, susan) } else { (susan, john) };
        assert!(change(verb, viewer, other).await);
        let (state, follows) = match verb {
            "follow" => ("REQUESTED", false),
            "acceptFollowRequest" => ("FOLLOWING", true),
            _ => ("NOT_FOLLOWING", false),
        };
        let relationship = &of_john.next().await["relationship"];
        assert_eq!(relationship["followState"], state, "{verb}");
        assert_eq!(relationship["user"]["username"], "susan");
        let relationship = &of_susan.next().await["relationship"];
        assert_eq!(relationship["requestedBy"], state == "REQUESTED", "{verb}");
        assert_eq!(relationship["followedBy"], follows, "{verb}");
    }
    assert_eq!(summary(&timeline.next().await), "!susan", "only the acceptance changes it");
    assert_eq!(counts.next().await["followersCount"], 1);
    counts.assert_idle().await;
    susan.write("hello").await;
    assert_eq!(summary(&timeline.next().await), "+hello");
}

/// Neither a request nor a count is left behind, whatever the order.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_acceptances_and_protections_leave_exact_data() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..6).map(|n| format!("user_{n}")).collect();
    let users = join_all(names.iter().map(|name| app.register(name))).await;
    let writes = (0..200).map(|n| {
        let (viewer, other) = (&users[n % 6], &names[(n + 1 + n / 6 % 5) % 6]);
        let verbs = ["follow", "acceptFollowRequest", "PROTECT", "follow", "unfollow",
            "rejectFollowRequest", "block", "follow", "unblock", "POST"];
        let field = match verbs[n / 7 % 10] {
            "PROTECT" => format!(
                "mutation {{ updateProfile(input: {{isProtected: {}}}) {{ userErrors {{ code }} }} }}",
                n % 3 > 0
            ),
            "POST" => "mutation { createPost(input: {body: \"x\"}) { userErrors { code } } }".into(),
            verb => format!(
                "mutation {{ {verb}(user: {{username: \"{other}\"}}) {{ userErrors {{ code }} }} }}"
            ),
        };
        async move { viewer.execute(&field, json!({})).await }
    });
    for response in join_all(writes).await {
        assert!(response.get("errors").is_none(), "{response}");
        let payload = response["data"].as_object().unwrap().values().next().unwrap();
        for error in payload["userErrors"].as_array().unwrap() {
            assert!(["BLOCKED", "NOT_FOUND"].contains(&error["code"].as_str().unwrap()), "{error}");
        }
    }
    assert_eq!(app.doctor_report().await, "no problems found\n");
}
