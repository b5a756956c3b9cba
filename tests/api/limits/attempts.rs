//! Guesses at passwords and addresses, counted one by one.

use serde_json::{Value, json};

use super::from;
use crate::app::{PASSWORD, TestApp};

fn guesses(name: &str, count: usize) -> String {
    let guess = |n| {
        format!(
            "a{n}: login(input: {{username: \"{name}\", password: \"wrong guess {n}\"}}) \
            {{ token userErrors {{ code ... on TooManyRequestsError {{ retryAfterSeconds }} }} }} "
        )
    };
    format!("mutation {{ {} }}", (0..count).map(guess).collect::<String>())
}

fn codes(answer: &Value) -> Vec<&str> {
    let payloads = answer["data"].as_object().unwrap().values();
    payloads.map(|payload| payload["userErrors"][0]["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn guesses_are_counted_one_by_one() {
    let app = TestApp::with(&["--rate-attempts", "5"]).await;
    app.join("john").await;
    for (address, name) in [("192.0.2.1", "john"), ("192.0.2.2", "nobody")] {
        let before = app.app.passwords.hashed();
        let (_, _, answer) = from(&app, address, &guesses(name, 20)).await;
        let mut codes = codes(&answer);
        codes.sort_unstable();
        assert_eq!(codes[..5], ["INVALID_CREDENTIALS"; 5]);
        assert_eq!(codes[5..], ["TOO_MANY_REQUESTS"; 15]);
        assert_eq!(app.app.passwords.hashed() - before, 5, "nothing is hashed that is not counted");
        let after = answer["data"]["a19"]["userErrors"][0]["retryAfterSeconds"].as_i64();
        assert!(after.is_some_and(|seconds| (1..=12).contains(&seconds)), "{after:?}");
    }
    // The right password is an attempt too.
    let login = format!(
        "mutation {{ a: login(input: {{username: \"john\", password: \"{PASSWORD}\"}}) \
        {{ token userErrors {{ code }} }} }}"
    );
    assert_eq!(codes(&from(&app, "192.0.2.1", &login).await.2), ["TOO_MANY_REQUESTS"]);
    assert!(from(&app, "192.0.2.9", &login).await.2["data"]["a"]["token"].is_string());
}

#[tokio::test]
async fn guesses_at_one_account_are_counted_from_everywhere() {
    let app = TestApp::with(&["--rate-attempts", "2"]).await;
    let john = app.join("john").await;
    let mut counted = 0;
    for n in 1..=20 {
        let name = ["john", "JOHN", "john@example.com"][n % 3];
        let (_, _, answer) = from(&app, &format!("198.51.100.{n}"), &guesses(name, 1)).await;
        counted += usize::from(codes(&answer) == ["INVALID_CREDENTIALS"]);
    }
    assert!((10..=11).contains(&counted), "{counted}");
    // That keeps nobody from leaving a password that others guess at.
    let change = format!(
        "mutation {{ a: changePassword(input: {{currentPassword: \"{PASSWORD}\", newPassword: \"kingfisher!\"}}) \
        {{ token userErrors {{ code }} }} }}"
    );
    let changed = john.ask(&change, json!({})).await;
    assert!(changed["data"]["a"]["token"].is_string(), "{changed}");
}

#[tokio::test]
async fn passwords_and_addresses_are_not_guessed_at_from_within() {
    let app = TestApp::with(&["--rate-attempts", "3"]).await;
    let john = app.join("john").await;
    let tried = async |mutation: &str| {
        let payload = john.mutate(&format!("{mutation} {{ userErrors {{ code }} }}")).await;
        payload["userErrors"][0]["code"].as_str().map(str::to_owned)
    };
    let wrong =
        "changePassword(input: {currentPassword: \"wrong guess\", newPassword: \"new password\"})";
    assert_eq!(tried(wrong).await.as_deref(), Some("INVALID_CREDENTIALS"));
    let email = "updateProfile(input: {email: \"susan@example.com\"})";
    assert_eq!(tried(email).await, None);
    for more in [wrong, email, "deleteAccount(input: {password: \"wrong guess\"})"] {
        assert_eq!(tried(more).await.as_deref(), Some("TOO_MANY_REQUESTS"), "{more}");
    }
    assert_eq!(tried("updateProfile(input: {aboutMe: \"birds\"})").await, None);
}
