//! The credential throttle counts attempts per client network, account and owner.

use serde_json::{Value, json};

use super::execute_from;
use crate::support::app::{PASSWORD, TestApp};

/// A document with `count` logins, each with a different wrong password.
fn guesses(name: &str, count: usize) -> String {
    let guess = |n| {
        format!(
            "a{n}: login(input: {{username: \"{name}\", password: \"wrong guess {n}\"}}) \
            {{ token userErrors {{ code ... on TooManyRequestsError {{ retryAfterSeconds }} }} }} "
        )
    };
    format!("mutation {{ {} }}", (0..count).map(guess).collect::<String>())
}

/// The code of the first user error of each payload.
fn codes(response: &Value) -> Vec<&str> {
    let payloads = response["data"].as_object().unwrap().values();
    payloads.map(|payload| payload["userErrors"][0]["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_login_field_of_a_document_is_one_attempt_of_its_network() {
    let app = TestApp::with(&["--credential-attempts-per-minute", "5"]).await;
    app.register("john").await;
    for (address, name) in [("192.0.2.1", "john"), ("192.0.2.2", "unknown")] {
        let before = app.app.passwords.hashes_total();
        let (_, _, response) = execute_from(&app, address, &guesses(name, 20)).await;
        let mut codes = codes(&response);
        codes.sort_unstable();
        assert_eq!(codes[..5], ["INVALID_CREDENTIALS"; 5]);
        assert_eq!(codes[5..], ["TOO_MANY_REQUESTS"; 15]);
        assert_eq!(
            app.app.passwords.hashes_total() - before,
            5,
            "only counted attempts are hashed"
        );
        let retry_after = response["data"]["a19"]["userErrors"][0]["retryAfterSeconds"].as_i64();
        assert!(retry_after.is_some_and(|seconds| (1..=12).contains(&seconds)), "{retry_after:?}");
    }
    // A login with the right password is an attempt too.
    let login = format!(
        "mutation {{ a: login(input: {{username: \"john\", password: \"{PASSWORD}\"}}) \
        {{ token userErrors {{ code }} }} }}"
    );
    assert_eq!(codes(&execute_from(&app, "192.0.2.1", &login).await.2), ["TOO_MANY_REQUESTS"]);
    assert!(execute_from(&app, "192.0.2.9", &login).await.2["data"]["a"]["token"].is_string());
}

#[tokio::test]
async fn attempts_at_one_account_are_limited_across_networks() {
    let app = TestApp::with(&["--credential-attempts-per-minute", "2"]).await;
    let john = app.register("john").await;
    let mut counted = 0;
    for n in 1..=20 {
        let name = ["john", "JOHN", "john@example.com"][n % 3];
        let (_, _, response) =
            execute_from(&app, &format!("198.51.100.{n}"), &guesses(name, 1)).await;
        counted += usize::from(codes(&response) == ["INVALID_CREDENTIALS"]);
    }
    assert!((10..=11).contains(&counted), "{counted}");
    // The signed-in owner can still change the password, with a limit of its own.
    let change = format!(
        "mutation {{ a: changePassword(input: {{currentPassword: \"{PASSWORD}\", newPassword: \"a kingfisher dives\"}}) \
        {{ token userErrors {{ code }} }} }}"
    );
    let response = john.execute(&change, json!({})).await;
    assert!(response["data"]["a"]["token"].is_string(), "{response}");
}

#[tokio::test]
async fn attempts_of_a_signed_in_user_to_check_passwords_and_emails_are_limited() {
    let app = TestApp::with(&["--credential-attempts-per-minute", "3"]).await;
    let john = app.register("john").await;
    let error_of = async |mutation: &str| {
        let payload = john.mutate(&format!("{mutation} {{ userErrors {{ code }} }}")).await;
        payload["userErrors"][0]["code"].as_str().map(str::to_owned)
    };
    let wrong =
        "changePassword(input: {currentPassword: \"wrong guess\", newPassword: \"new password\"})";
    assert_eq!(error_of(wrong).await.as_deref(), Some("INVALID_CREDENTIALS"));
    let email = |name: &str| {
        format!(
            "updateProfile(input: {{email: \"{name}@example.com\", currentPassword: \"{PASSWORD}\"}})"
        )
    };
    assert_eq!(error_of(&email("susan")).await, None);
    for attempt in [wrong, &email("mary"), "deleteAccount(input: {password: \"wrong guess\"})"] {
        assert_eq!(error_of(attempt).await.as_deref(), Some("TOO_MANY_REQUESTS"), "{attempt}");
    }
    assert_eq!(error_of("updateProfile(input: {aboutMe: \"birds\"})").await, None);
}

/// Known and unknown addresses have the same limit, also after logins with them.
#[tokio::test]
async fn requests_to_reset_a_password_are_attempts_at_an_address() {
    let app = TestApp::with(&["--credential-attempts-per-minute", "2"]).await;
    app.register("john").await;
    let mut accepted = [0, 0];
    for n in 1..=20 {
        for (count, name) in accepted.iter_mut().zip(["john", "unknown"]) {
            let email = format!("{name}@example.com");
            if n <= 5 {
                execute_from(&app, &format!("203.0.113.{n}"), &guesses(&email, 1)).await;
            }
            let request = format!(
                "mutation {{ a: requestPasswordReset(email: \"{email}\") {{ userErrors {{ code }} }} }}"
            );
            let (_, _, response) = execute_from(&app, &format!("198.51.100.{n}"), &request).await;
            *count += usize::from(response["data"]["a"]["userErrors"] == json!([]));
        }
    }
    assert!(accepted.iter().all(|count| (10..=11).contains(count)), "{accepted:?}");
}

#[tokio::test]
async fn guesses_of_tokens_in_mails_are_attempts_of_their_network() {
    let app = TestApp::with(&["--credential-attempts-per-minute", "3"]).await;
    let guess = "mutation {
        a: verifyEmail(token: \"x\") { userErrors { code } }
        b: resetPassword(token: \"x\", newPassword: \"new password\") { userErrors { code } }
        c: verifyEmail(token: \"y\") { userErrors { code } }
        d: verifyEmail(token: \"z\") { userErrors { code } }
        e: resetPassword(token: \"z\", newPassword: \"new password\") { userErrors { code } } }";
    let (_, _, response) = execute_from(&app, "192.0.2.1", guess).await;
    let mut codes = codes(&response);
    codes.sort_unstable();
    assert_eq!(codes[..3], ["INVALID_TOKEN"; 3]);
    assert_eq!(codes[3..], ["TOO_MANY_REQUESTS"; 2]);
}
