//! Reset of a lost password, by a token in a mail.

use entity::mail::Kind;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp, two_instances};
use crate::support::mail::MailFolder;

const NEW_PASSWORD: &str = "kingfisher kingfisher";

fn request(email: &str) -> String {
    format!(
        "requestPasswordReset(email: \"{email}\") {{
        userErrors {{ __typename code message path }} }}"
    )
}

fn reset(token: &str, password: &str) -> String {
    format!(
        "resetPassword(token: \"{token}\", newPassword: \"{password}\") {{
        changed userErrors {{ __typename code path }} }}"
    )
}

fn login(password: &str) -> String {
    format!(
        "login(input: {{username: \"john\", password: \"{password}\"}}) {{
        token userErrors {{ code }} }}"
    )
}

fn invalid_token() -> Value {
    json!({ "changed": false, "userErrors": [{
        "__typename": "InvalidTokenError", "code": "INVALID_TOKEN", "path": ["token"] }] })
}

fn success() -> Value {
    json!({ "changed": true, "userErrors": [] })
}

#[tokio::test]
async fn a_link_sets_a_new_password_once_and_ends_all_sessions_and_streams() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &[]).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    folder.await_mails(2).await;
    let timeline = "subscription { timelineEvents { __typename } }";
    let mut events = john.subscribe_and_join(timeline, json!({})).await;
    let anonymous = app.anonymous();
    let asked = anonymous.mutate(&request(" John@Example.com ")).await;
    assert_eq!(asked, json!({ "userErrors": [] }));
    let mail = folder.last(3).await;
    assert_eq!((&*mail.to, &*mail.subject), ("john@example.com", "Choose a new password"));
    let token = mail.token();
    assert_eq!(john.query("{ viewer { email } }").await["viewer"]["email"], "john@example.com");

    let payload = anonymous.mutate(&reset(&token, "short")).await;
    let error = &payload["userErrors"][0];
    assert_eq!(
        (&error["code"], &error["path"]),
        (&json!("INVALID_INPUT"), &json!(["newPassword"]))
    );
    assert_eq!(anonymous.mutate(&reset(&token, NEW_PASSWORD)).await, success());
    assert_eq!(john.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    susan.write("secret").await;
    assert_eq!(events.error().await, "UNAUTHENTICATED");
    assert_eq!(anonymous.user_error(&login(PASSWORD)).await, "INVALID_CREDENTIALS");
    assert!(anonymous.mutate(&login(NEW_PASSWORD)).await["token"].is_string());
    assert_eq!(anonymous.mutate(&reset(&token, PASSWORD)).await, invalid_token(), "used");

    let token = anonymous.mutate(&login(NEW_PASSWORD)).await["token"].take();
    let john = Actor { token: token.as_str().map(str::to_owned), ..john };
    let viewer = john.query("{ viewer { emailVerified } }").await;
    assert_eq!(viewer["viewer"]["emailVerified"], true, "the mail has arrived there");
}

#[tokio::test]
async fn a_token_that_is_not_valid_any_more_is_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let anonymous = app.anonymous();
    let unknown = format!("rookery_{}", "A".repeat(43));
    let of_verification = app.mail_token("john", Kind::VerifyEmail).await;
    for token in ["", "john", john.token.as_ref().unwrap(), &unknown, &of_verification] {
        assert_eq!(anonymous.mutate(&reset(token, NEW_PASSWORD)).await, invalid_token(), "{token}");
    }
    let expired = app.mail_token("john", Kind::ResetPassword).await;
    app.expire_mail_tokens().await;
    assert_eq!(anonymous.mutate(&reset(&expired, NEW_PASSWORD)).await, invalid_token());

    let before_change = app.mail_token("john", Kind::ResetPassword).await;
    let other = app.mail_token("john", Kind::ResetPassword).await;
    let change = format!(
        "updateProfile(input: {{email: \"new@example.com\", currentPassword: \"{PASSWORD}\"}}) {{
            userErrors {{ code }} }}"
    );
    assert_eq!(john.mutate(&change).await["userErrors"], json!([]));
    assert_eq!(anonymous.mutate(&reset(&before_change, NEW_PASSWORD)).await, invalid_token());

    let before_change = app.mail_token("john", Kind::ResetPassword).await;
    let change = format!(
        "changePassword(input: {{currentPassword: \"{PASSWORD}\",
            newPassword: \"{NEW_PASSWORD}\"}}) {{ token }}"
    );
    assert!(john.mutate(&change).await["token"].is_string());
    assert_eq!(anonymous.mutate(&reset(&before_change, PASSWORD)).await, invalid_token());
    assert_eq!(anonymous.mutate(&reset(&other, PASSWORD)).await, invalid_token());
    assert!(anonymous.mutate(&login(NEW_PASSWORD)).await["token"].is_string(), "unchanged");
}

#[tokio::test]
async fn another_token_of_the_user_is_invalid_after_a_reset() {
    let app = TestApp::new().await;
    app.register("john").await;
    let first = app.mail_token("john", Kind::ResetPassword).await;
    let second = app.mail_token("john", Kind::ResetPassword).await;
    let anonymous = app.anonymous();
    assert_eq!(anonymous.mutate(&reset(&second, NEW_PASSWORD)).await, success());
    assert_eq!(anonymous.mutate(&reset(&first, PASSWORD)).await, invalid_token());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_resets_with_one_token_one_succeeds() {
    let (first, second) = two_instances().await;
    first.register("john").await;
    for _ in 0..10 {
        let token = first.mail_token("john", Kind::ResetPassword).await;
        let (one, other) = (first.anonymous(), second.anonymous());
        let (one_reset, other_reset) =
            (reset(&token, "password of one"), reset(&token, "password of the other"));
        let (one, other) = join(one.mutate(&one_reset), other.mutate(&other_reset)).await;
        let mut payloads = [&one, &other];
        payloads.sort_by_key(|payload| payload["changed"] == false);
        assert_eq!(payloads, [&success(), &invalid_token()]);
        let winner = if one == success() { "password of one" } else { "password of the other" };
        for password in ["password of one", "password of the other"] {
            let token = &first.anonymous().mutate(&login(password)).await["token"];
            assert_eq!(token.is_string(), password == winner, "{password}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_the_old_password_during_a_reset_leaves_no_session() {
    let (first, second) = two_instances().await;
    let john = first.register("john").await;
    let mut old = PASSWORD.to_owned();
    for n in 0..20 {
        let token = first.mail_token("john", Kind::ResetPassword).await;
        let new = format!("new password {n}");
        let (anonymous, other) = (first.anonymous(), second.anonymous());
        let (login, reset) = (login(&old), reset(&token, &new));
        let (login, reset) = join(anonymous.mutate(&login), other.mutate(&reset)).await;
        assert_eq!(reset, success());
        match login["token"].as_str() {
            Some(token) => {
                let session = Actor { token: Some(token.to_owned()), ..john.at(&first) };
                assert_eq!(session.error("{ viewer { email } }").await, "UNAUTHENTICATED");
            }
            None => assert_eq!(login["userErrors"][0]["code"], "INVALID_CREDENTIALS"),
        }
        old = new;
    }
}

#[tokio::test]
async fn the_response_to_a_request_does_not_show_whether_the_address_has_an_account() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &[]).await;
    app.register("john").await;
    folder.await_mails(1).await;
    app.await_empty_outbox().await;
    let anonymous = app.anonymous();
    let hashes = app.app.passwords.hashes_total();
    let known = anonymous.mutate(&request("john@example.com")).await;
    let unknown = anonymous.mutate(&request("unknown@example.com")).await;
    assert_eq!(known, json!({ "userErrors": [] }));
    assert_eq!(known, unknown);
    assert_eq!(app.app.passwords.hashes_total(), hashes);
    app.await_empty_outbox().await;
    assert_eq!(folder.last(2).await.to, "john@example.com", "no mail to the unknown address");

    for email in ["", "john", "john@import.invalid"] {
        let payload = anonymous.mutate(&request(email)).await;
        let error = &payload["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!("INVALID_INPUT"), &json!(["email"])));
    }
}

#[tokio::test]
async fn an_address_is_sent_at_most_five_mails_per_hour() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &[]).await;
    app.register("john").await;
    for count in 2..=6 {
        app.anonymous().mutate(&request("john@example.com")).await;
        folder.await_mails(count).await;
        app.await_empty_outbox().await;
    }
    app.anonymous().mutate(&request("john@example.com")).await;
    app.await_empty_outbox().await;
    let mails = folder.await_mails(6).await;
    let reset = reset(&mails[1].token(), NEW_PASSWORD);
    assert_eq!(app.anonymous().mutate(&reset).await, success(), "all links work");
}

/// An account that was imported has no password, and gets one by a reset.
#[tokio::test]
async fn an_account_without_a_password_gets_one() {
    let app = TestApp::new().await;
    app.register("john").await;
    let token = app.mail_token("john", Kind::ResetPassword).await;
    let remove = "UPDATE \"user\" SET password_hash = NULL";
    sea_orm::ConnectionTrait::execute_unprepared(app.database().writer(), remove).await.unwrap();
    let anonymous = app.anonymous();
    assert_eq!(anonymous.user_error(&login(PASSWORD)).await, "INVALID_CREDENTIALS");
    assert_eq!(anonymous.mutate(&reset(&token, NEW_PASSWORD)).await, success());
    assert!(anonymous.mutate(&login(NEW_PASSWORD)).await["token"].is_string());
}
