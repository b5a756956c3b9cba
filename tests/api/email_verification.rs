//! Verification of e-mail addresses, and writes that need it.

use entity::mail::Kind;
use rookery::app::App;
use serde_json::{Value, json};

use crate::schema::document::{Document, Samples, Schema, base};
use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp, TestDatabase, config};
use crate::support::mail::MailFolder;

fn verify(token: &str) -> String {
    format!(
        "verifyEmail(token: \"{token}\") {{ changed viewer {{ email emailVerified }}
        userErrors {{ __typename code path }} }}"
    )
}

const RESEND: &str = "resendVerification { changed userErrors { code
    ... on TooManyRequestsError { retryAfterSeconds } } }";

async fn is_verified(actor: &Actor<'_>) -> bool {
    let data = actor.query("{ viewer { emailVerified } }").await;
    data["viewer"]["emailVerified"].as_bool().unwrap()
}

#[tokio::test]
async fn the_link_of_a_mail_after_the_registration_verifies_the_address() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &["--public-url", "https://birds.example/app/"]).await;
    let john = app.register("john").await;
    let mail = folder.last(1).await;
    assert_eq!((&*mail.to, &*mail.subject), ("john@example.com", "Verify your e-mail address"));
    let link = format!("https://birds.example/app/verify-email#token={}", mail.token());
    assert!(mail.source.contains(&link), "{}", mail.source);
    for part in ["Content-Type: text/plain", "Content-Type: text/html", "Hello john,"] {
        assert!(mail.source.contains(part), "{part}: {}", mail.source);
    }
    assert!(!is_verified(&john).await);

    let token = mail.token();
    let expected = json!({ "changed": true, "viewer": null, "userErrors": [] });
    assert_eq!(app.anonymous().mutate(&verify(&token)).await, expected, "it needs no session");
    assert!(is_verified(&john).await);
    let viewer = json!({ "email": "john@example.com", "emailVerified": true });
    let expected = json!({ "changed": false, "viewer": viewer, "userErrors": [] });
    assert_eq!(john.mutate(&verify(&token)).await, expected, "again");
    app.await_empty_outbox().await;
}

#[tokio::test]
async fn a_token_that_is_not_for_the_address_is_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let unknown = format!("rookery_{}", "A".repeat(43));
    let of_reset = app.mail_token("john", Kind::ResetPassword).await;
    let expected = json!({ "changed": false, "viewer": null, "userErrors": [{
        "__typename": "InvalidTokenError", "code": "INVALID_TOKEN", "path": ["token"] }] });
    for token in ["", "john", john.token.as_ref().unwrap(), &unknown, &of_reset] {
        for actor in [&john, &app.anonymous()] {
            assert_eq!(actor.mutate(&verify(token)).await, expected, "{token}");
        }
    }
    let expired = app.mail_token("john", Kind::VerifyEmail).await;
    app.expire_mail_tokens().await;
    assert_eq!(john.mutate(&verify(&expired)).await, expected);

    let before_change = app.mail_token("john", Kind::VerifyEmail).await;
    change_email(&john, "new@example.com").await;
    assert_eq!(john.mutate(&verify(&before_change)).await, expected, "of another address");
    assert!(!is_verified(&john).await);
}

async fn change_email(actor: &Actor<'_>, email: &str) {
    let payload = actor.mutate(&email_change(email, Some(PASSWORD))).await;
    let expected = json!({ "email": email, "emailVerified": false });
    assert_eq!(payload, json!({ "viewer": expected, "userErrors": [] }));
}

fn email_change(email: &str, password: Option<&str>) -> String {
    let password =
        password.map_or_else(String::new, |text| format!(", currentPassword: \"{text}\""));
    format!(
        "updateProfile(input: {{email: \"{email}\"{password}}}) {{
        viewer {{ email emailVerified }} userErrors {{ code path }} }}"
    )
}

#[tokio::test]
async fn another_mail_is_sent_up_to_five_times() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &[]).await;
    let document = format!("mutation {{ {RESEND} }}");
    assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    let john = app.register("john").await;
    let first = folder.last(1).await;
    app.await_empty_outbox().await;
    for count in 2..=5 {
        let expected = json!({ "changed": true, "userErrors": [] });
        assert_eq!(john.mutate(RESEND).await, expected);
        assert_ne!(folder.last(count).await.token(), first.token());
        app.await_empty_outbox().await;
    }
    let payload = john.mutate(RESEND).await;
    assert_eq!(payload["changed"], false);
    let expected = json!([{ "code": "TOO_MANY_REQUESTS", "retryAfterSeconds": 3_600 }]);
    assert_eq!(payload["userErrors"], expected);
    let change = email_change("new@example.com", Some(PASSWORD));
    assert_eq!(john.user_error(&change).await, "TOO_MANY_REQUESTS");

    assert_eq!(john.mutate(&verify(&first.token())).await["changed"], true, "all links work");
    let expected = json!({ "changed": false, "userErrors": [] });
    assert_eq!(john.mutate(RESEND).await, expected, "there is nothing to verify");
    folder.await_mails(5).await;
}

#[tokio::test]
async fn another_address_needs_the_password_and_the_old_address_is_notified() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &[]).await;
    let (john, _susan) = (app.register("john").await, app.register("susan").await);
    let mails = folder.await_mails(2).await;
    let mail = mails.iter().find(|mail| mail.to == "john@example.com").unwrap();
    john.mutate(&verify(&mail.token())).await;
    for password in [None, Some("wrong wrong")] {
        let payload = john.mutate(&email_change("new@example.com", password)).await;
        let path = ["input", "currentPassword"];
        let expected = json!([{ "code": "INVALID_CREDENTIALS", "path": path }]);
        assert_eq!(payload["userErrors"], expected);
    }
    let taken = email_change("susan@example.com", Some(PASSWORD));
    assert_eq!(john.user_error(&taken).await, "EMAIL_TAKEN");
    let payload = john.mutate(&email_change(" John@Example.com", None)).await;
    assert_eq!(payload["userErrors"], json!([]), "the present address is no change");
    assert!(is_verified(&john).await);

    change_email(&john, "new@example.com").await;
    let mails = folder.await_mails(4).await;
    let mail = |to: &str| mails[2..].iter().find(|mail| mail.to == to).unwrap();
    let notice = mail("john@example.com");
    assert_eq!(notice.subject, "The e-mail address of your account has changed");
    assert!(!notice.source.contains("token") && !notice.source.contains("new@"), "{notice:?}");
    john.mutate(&verify(&mail("new@example.com").token())).await;
    assert!(is_verified(&john).await);
}

/// Mutations that a user without a verified address can execute.
const ALLOWED: [&str; 11] = [
    "changePassword",
    "deleteAccount",
    "login",
    "logout",
    "register",
    "requestPasswordReset",
    "resendVerification",
    "resetPassword",
    "revokeSession",
    "updateProfile",
    "verifyEmail",
];

#[tokio::test]
async fn every_other_mutation_needs_a_verified_address_if_the_operator_says_so() {
    let folder = MailFolder::new();
    let app = TestApp::with_mail(&folder, &["--require-verified-email"]).await;
    let susan = app.register("susan").await;
    susan.mutate(&verify(&folder.last(1).await.token())).await;
    let post = susan.write("Susan's.").await;
    let john = app.register("john").await;
    susan.follow(&john).await;
    let data = john.query("{ viewer { notifications { nodes { id } } } }").await;
    let notifications = texts(&data["viewer"]["notifications"]["nodes"], "id");
    let timeline = "{ viewer { user { timeline { pageInfo { endCursor } } } } }";
    let data = susan.query(timeline).await;
    let samples: Samples = serde_json::from_value(json!({
        "UserBy": { "username": "susan" }, "id": post, "postId": post, "inReplyToId": post,
        "userIds": [susan.id], "upTo": notifications[0], "idempotencyKey": "key",
        "cursor": data["viewer"]["user"]["timeline"]["pageInfo"]["endCursor"],
    }))
    .unwrap();
    let schema = Schema::read();
    let mut refused = 0;
    let mutations = schema.fields("Mutation");
    for field in mutations.filter(|field| !ALLOWED.contains(&field.name.node.as_str())) {
        let mut document = Document::new(&schema, &samples);
        let call = document.call(field, None);
        let selection = document.selection(base(&field.ty.node), 1);
        let data = document.run(&john, "mutation", &(call + &selection)).await;
        let error = &data[field.name.node.as_str()]["userErrors"][0];
        assert_eq!(error["__typename"], "EmailNotVerifiedError", "{}", field.name.node);
        assert_eq!((&error["code"], &error["path"]), (&json!("EMAIL_NOT_VERIFIED"), &Value::Null));
        refused += 1;
    }
    assert!(refused > 20, "{refused}");
    let update = "updateProfile(input: {aboutMe: \"birds\"}) { userErrors { code } }";
    assert_eq!(john.user_error(update).await, "EMAIL_NOT_VERIFIED");
    assert_eq!(john.query("{ posts { totalCount } }").await["posts"]["totalCount"], 1);

    change_email(&john, "new@example.com").await;
    let mails = folder.await_mails(4).await;
    let mail = mails.iter().find(|mail| mail.to == "new@example.com").unwrap();
    john.mutate(&verify(&mail.token())).await;
    john.write("John's.").await;
    assert_eq!(john.mutate(update).await["userErrors"], json!([]));
}

#[tokio::test]
async fn an_operator_without_mail_cannot_require_verified_addresses() {
    let fixture = TestDatabase::new().await;
    let config = config(&fixture.url(), &["--require-verified-email"]);
    let error = App::build(&config).await.err().unwrap().to_string();
    assert!(error.contains("--require-verified-email needs"), "{error}");
    let app = TestApp::new().await;
    let john = app.register("john").await;
    assert_eq!(john.mutate(RESEND).await, json!({ "changed": false, "userErrors": [] }));
    app.await_empty_outbox().await;
}
