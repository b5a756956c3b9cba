//! Suggestions of users to follow.

use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// The suggestions for a viewer: names, reasons and counts.
async fn suggestions(viewer: &Actor<'_>) -> Vec<(String, Vec<String>, i64)> {
    let document = "{ viewer { suggestions { reasons knownFollowersCount
        user { username knownFollowers { totalCount } } } } }";
    let data = viewer.query(document).await;
    let suggestion = |suggestion: &Value| {
        let count = &suggestion["knownFollowersCount"];
        assert_eq!(*count, suggestion["user"]["knownFollowers"]["totalCount"]);
        let reasons = suggestion["reasons"].as_array().unwrap().iter();
        let reasons = reasons.map(|reason| reason.as_str().unwrap().to_owned()).collect();
        let name = suggestion["user"]["username"].as_str().unwrap().to_owned();
        (name, reasons, count.as_i64().unwrap())
    };
    data["viewer"]["suggestions"].as_array().unwrap().iter().map(suggestion).collect()
}

#[tokio::test]
async fn suggestions_have_reasons_and_leave_out_whom_the_viewer_knows() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    assert_eq!(suggestions(john).await, []);
    let mut others = Vec::new();
    for name in ["both", "fan", "star", "blocker", "blocked", "muted", "asked", "dismissed"] {
        others.push(app.register(name).await);
    }
    let [both, fan, star, blocker, blocked, muted, asked, dismissed] = &others[..] else {
        panic!()
    };
    for friend in [susan, mary] {
        john.follow(friend).await;
        for other in [both, blocker, blocked, muted, asked, dismissed, john] {
            friend.follow(other).await;
        }
    }
    susan.follow(mary).await;
    fan.follow(john).await;
    david.follow(star).await;
    let change = async |viewer: &Actor<'_>, verb: &str, other: &str| {
        let field =
            format!("{verb}(user: {{username: \"{other}\"}}) {{ changed userErrors {{ code }} }}");
        let payload = viewer.mutate(&field).await;
        assert_eq!(payload["userErrors"], json!([]));
        payload["changed"] == true
    };
    asked.protect(true).await;
    assert!(change(john, "follow", "asked").await);
    assert!(change(blocker, "block", "john").await);
    assert!(change(john, "block", "blocked").await);
    assert!(change(john, "mute", "muted").await);
    assert!(change(john, "dismissSuggestion", "dismissed").await);
    assert!(!change(john, "dismissSuggestion", "dismissed").await, "idempotent");

    let entry = |name: &str, reasons: &[&str], known| {
        (name.to_owned(), reasons.iter().map(|each| (*each).to_owned()).collect(), known)
    };
    let expected = [
        entry("both", &["FRIENDS_OF_FRIENDS", "POPULAR"], 2),
        entry("fan", &["FOLLOWS_YOU"], 0),
        entry("star", &["POPULAR"], 0),
    ];
    assert_eq!(suggestions(john).await, expected);
    john.follow(fan).await;
    assert_eq!(suggestions(john).await, [expected[0].clone(), expected[2].clone()]);
    for verb in ["dismissSuggestion"] {
        let field = |name: &str| {
            format!("{verb}(user: {{username: \"{name}\"}}) {{ userErrors {{ code }} }}")
        };
        assert_eq!(john.user_error(&field("john")).await, "SELF_TARGET");
        assert_eq!(john.user_error(&field("unknown")).await, "NOT_FOUND");
        let document = format!("mutation {{ {} }}", field("susan"));
        assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    }
    for first in [0, 51] {
        let document = format!("{{ viewer {{ suggestions(first: {first}) {{ reasons }} }} }}");
        assert_eq!(john.error(&document).await, "ARGUMENT_OUT_OF_RANGE");
    }
    let one = john.query("{ viewer { suggestions(first: 1) { user { username } } } }").await;
    assert_eq!(one["viewer"]["suggestions"], json!([{ "user": { "username": "both" } }]));
}
