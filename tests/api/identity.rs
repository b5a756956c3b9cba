//! External identity: users who sign in with tokens of an identity provider.
//!
//! `rejected` has the tokens that are not accepted, `keys` the keys of the provider. The tokens of
//! WebSockets are in `live/credentials`.

mod keys;
mod rejected;

use futures_util::future::join_all;
use rookery::app::App;
use rookery::domain::identity::delete_expired_tokens;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp, config};
use crate::support::identity_provider::{IdentityProvider, now};

const VIEWER: &str = "{ viewer { email user { id username displayName } } }";

/// A client with a token of the provider.
pub fn client(app: &TestApp, token: String) -> Actor<'_> {
    Actor { app, username: String::new(), token: Some(token), id: String::new() }
}

/// The number that a statement returns.
async fn number(app: &TestApp, sql: &str) -> i64 {
    let statement = app.database().statement(sql, []);
    let row = app.database().writer().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn execute(app: &TestApp, sql: &str) {
    app.database().writer().execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn the_first_token_creates_a_user_and_later_ones_find_it() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let claims = provider.claims(
        "7f3a",
        &json!({ "preferred_username": "susan", "name": " Susan Q. ", "email": "Susan@Example.com" }),
    );
    let token = provider.sign(&claims);
    let viewer = client(&app, token.clone()).query(VIEWER).await["viewer"].take();
    assert_eq!(viewer["email"], "susan@example.com");
    assert_eq!(viewer["user"]["username"], "susan");
    assert_eq!(viewer["user"]["displayName"], "Susan Q.");
    assert_eq!(client(&app, token).query(VIEWER).await["viewer"], viewer, "the same token");
    // The claims are those of a new user only.
    let changed = json!({ "preferred_username": "mary", "email": "mary@example.com" });
    let later = provider.sign(&provider.claims("7f3a", &changed));
    assert_eq!(client(&app, later).query(VIEWER).await["viewer"], viewer, "another token");
    assert_eq!(number(&app, "SELECT count(*) FROM \"user\"").await, 1);
    assert_eq!(number(&app, "SELECT count(*) FROM session").await, 2, "one for each token");
    let found = app.anonymous().query("{ searchUsers(query: \"susan\") { username } }").await;
    assert_eq!(found["searchUsers"], json!([{ "username": "susan" }]));
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_known_token_costs_as_many_statements_as_a_session() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let john = app.register("john").await;
    let susan = client(&app, provider.token("susan"));
    susan.query(VIEWER).await;
    let (_, of_session) = app.count_statements(john.query(VIEWER)).await;
    let (_, of_token) = app.count_statements(susan.query(VIEWER)).await;
    assert_eq!(of_token, of_session);
    assert!(of_session >= 1);
}

#[tokio::test]
async fn claims_can_be_configured() {
    let provider = IdentityProvider::start().await;
    let options = ["--oidc-username-claim", "nick", "--oidc-display-name-claim", "full"];
    let app = provider.app(&[&options[..], &["--oidc-email-claim", "mail"]].concat()).await;
    let claims = json!({ "nick": "rook", "full": "A Rook", "mail": "rook@example.com" });
    let token = provider.sign(&provider.claims("1", &claims));
    let viewer = client(&app, token).query(VIEWER).await["viewer"].take();
    assert_eq!(viewer["email"], "rook@example.com");
    assert_eq!(viewer["user"]["username"], "rook");
    assert_eq!(viewer["user"]["displayName"], "A Rook");
}

#[tokio::test]
async fn a_user_is_never_linked_to_an_existing_account() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let susan = app.register("Susan").await;
    let same = json!({ "preferred_username": "susan", "email": "susan@example.com" });
    let mut usernames = vec![];
    for subject in ["a", "b"] {
        let other = client(&app, provider.sign(&provider.claims(subject, &same)));
        let viewer = other.query(VIEWER).await["viewer"].take();
        assert_ne!(viewer["user"]["id"].as_str().unwrap(), susan.id);
        let email = viewer["email"].as_str().unwrap();
        assert!(email.ends_with("@external.invalid"), "{email}");
        usernames.push(viewer["user"]["username"].clone());
    }
    assert_eq!(usernames, ["susan_2", "susan_3"]);
    let login = format!(
        "login(input: {{username: \"susan@example.com\", password: \"{PASSWORD}\"}}) {{
            viewer {{ user {{ id }} }} }}"
    );
    let payload = app.anonymous().mutate(&login).await;
    assert_eq!(payload["viewer"]["user"]["id"].as_str().unwrap(), susan.id);
    let wrong = "login(input: {username: \"susan_2\", password: \"\"}) { userErrors { code } }";
    assert_eq!(app.anonymous().user_error(wrong).await, "INVALID_CREDENTIALS");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn names_that_break_the_rules_are_changed() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    for (claims, username, display_name) in [
        (json!({ "preferred_username": "zoë@example.com", "name": "Zoë" }), "zoe", Some("Zoë")),
        (json!({ "preferred_username": null, "name": "two\nlines" }), "user", None),
        (json!({ "preferred_username": ["a"], "email": "no address" }), "user_2", None),
        (json!({ "preferred_username": "x'); --", "email_verified": false }), "x", None),
    ] {
        let subject = format!("{username} \u{1f426} '");
        let token = provider.sign(&provider.claims(&subject, &claims));
        let viewer = client(&app, token).query(VIEWER).await["viewer"].take();
        assert_eq!(viewer["user"]["username"], username);
        assert_eq!(viewer["user"]["displayName"].as_str(), display_name);
    }
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn concurrent_first_requests_create_one_user() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    // SQLite has one writer, and one instance.
    let other = if app.is_on_postgres() { provider.second_app(&app).await } else { app.clone() };
    for subject in ["susan", "john", "mary"] {
        let same = provider.token(subject);
        let tokens =
            (0..12).map(|n| if n % 2 == 0 { same.clone() } else { provider.token(subject) });
        let requests = tokens.enumerate().map(|(n, token)| {
            let app = if n % 3 == 0 { &other } else { &app };
            async move { client(app, token).query(VIEWER).await["viewer"]["user"].take() }
        });
        let users = join_all(requests).await;
        assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
        assert_eq!(users[0]["username"], subject);
    }
    assert_eq!(number(&app, "SELECT count(*) FROM \"user\"").await, 3);
    assert_eq!(number(&app, "SELECT count(*) FROM identity").await, 3);
    assert_eq!(number(&app, "SELECT count(*) FROM session").await, 3 * 7);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn concurrent_users_with_one_name_get_different_usernames() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let other = if app.is_on_postgres() { provider.second_app(&app).await } else { app.clone() };
    let requests = (0..8).map(|n| {
        let claims = json!({ "preferred_username": "susan", "email": "susan@example.com" });
        let token = provider.sign(&provider.claims(&n.to_string(), &claims));
        let app = if n % 2 == 0 { &other } else { &app };
        async move { client(app, token).query(VIEWER).await["viewer"]["user"].take() }
    });
    let users = join_all(requests).await;
    let names: std::collections::BTreeSet<_> =
        users.iter().map(|user| user["username"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    assert!(names.contains("susan") && names.contains("susan_2"), "{names:?}");
    let addresses = "SELECT count(*) FROM \"user\" WHERE email = 'susan@example.com'";
    assert_eq!(number(&app, addresses).await, 1);
}

#[tokio::test]
async fn a_token_is_not_accepted_after_its_session_has_ended() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let (phone, laptop) =
        (client(&app, provider.token("susan")), client(&app, provider.token("susan")));
    let id = phone.query(VIEWER).await["viewer"]["user"]["id"].take();
    laptop.query(VIEWER).await;
    assert_eq!(phone.mutate("logout { changed }").await["changed"], true);
    assert_eq!(phone.error(VIEWER).await, "UNAUTHENTICATED");
    let (_, statements) = app.count_statements(phone.error(VIEWER)).await;
    assert_eq!(statements, 3, "no transaction begins for a token that was revoked");
    assert_eq!(laptop.query(VIEWER).await["viewer"]["user"]["id"], id);
    laptop.mutate("logout(everywhere: true) { changed }").await;
    assert_eq!(laptop.error(VIEWER).await, "UNAUTHENTICATED");
    let again = client(&app, provider.token("susan"));
    assert_eq!(again.query(VIEWER).await["viewer"]["user"]["id"], id);
}

#[tokio::test]
async fn the_tokens_of_a_deleted_account_create_no_other_one() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let susan = client(&app, provider.token("susan"));
    let id = susan.query(VIEWER).await["viewer"]["user"]["id"].take();
    execute(&app, "DELETE FROM \"user\"").await;
    assert_eq!(number(&app, "SELECT count(*) FROM identity").await, 0);
    assert_eq!(susan.error(VIEWER).await, "UNAUTHENTICATED");
    assert_eq!(number(&app, "SELECT count(*) FROM \"user\"").await, 0);
    let new = client(&app, provider.token("susan")).query(VIEWER).await;
    assert_ne!(new["viewer"]["user"]["id"], id, "a later sign-in creates a new account");
}

#[tokio::test]
async fn expired_tokens_are_deleted_and_others_are_kept() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    for subject in ["susan", "john"] {
        client(&app, provider.token(subject)).query(VIEWER).await;
    }
    let first = "id = (SELECT min(id) FROM external_token)";
    let past = "'2020-01-01T00:00:00+00:00'";
    execute(&app, &format!("UPDATE external_token SET expires_at = {past} WHERE {first}")).await;
    assert!(!delete_expired_tokens(app.database()).await.unwrap());
    assert_eq!(number(&app, "SELECT count(*) FROM external_token").await, 1);
}

/// The token expires 10 seconds after it is made.
///
/// That is 60 seconds, the allowed difference of the clocks, after its claim `exp`.
#[tokio::test]
async fn a_stream_without_events_ends_when_the_token_expires() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let token = provider.sign(&provider.claims("susan", &json!({ "exp": now() - 50 })));
    let susan = client(&app, token);
    let document = "subscription { timelineEvents { __typename } }";
    let mut events = susan.subscribe_and_join(document, json!({})).await;
    assert_eq!(events.error().await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_session_lasts_no_longer_than_other_sessions() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&["--session-days", "1"]).await;
    let year = json!({ "exp": now() + 365 * 86_400 });
    let susan = client(&app, provider.sign(&provider.claims("susan", &year)));
    let data = susan.query("{ viewer { sessions { expiresAt isCurrent userAgent } } }").await;
    let session = &data["viewer"]["sessions"][0];
    let expires_at: chrono::DateTime<chrono::Utc> =
        session["expiresAt"].as_str().unwrap().parse().unwrap();
    assert!(expires_at.timestamp() <= now() + 86_400, "{session}");
    assert_eq!(session["isCurrent"], true);
    assert_eq!(session["userAgent"], "tests");
}

#[tokio::test]
async fn password_login_can_be_disabled() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&["--password-login", "off"]).await;
    let input = "username: \"john\", password: \"correct horse battery\"";
    let register = format!(
        "register(input: {{{input}, email: \"john@example.com\"}}) {{ token userErrors {{ code }} }}"
    );
    let login = format!("login(input: {{{input}}}) {{ token userErrors {{ code }} }}");
    for mutation in [&register, &login] {
        assert_eq!(app.anonymous().user_error(mutation).await, "PASSWORD_LOGIN_DISABLED");
    }
    let change = "changePassword(input: {currentPassword: \"\", newPassword: \"a new password\"}) {
        token userErrors { code } }";
    let anonymous = app.anonymous().error(&format!("mutation {{ {change} }}")).await;
    assert_eq!(anonymous, "UNAUTHENTICATED");
    let susan = client(&app, provider.token("susan"));
    assert_eq!(susan.user_error(change).await, "PASSWORD_LOGIN_DISABLED");
    assert_eq!(number(&app, "SELECT count(*) FROM \"user\"").await, 1);
}

#[tokio::test]
async fn incomplete_options_prevent_the_start() {
    let app = TestApp::new().await;
    let url = app.database_fixture().url();
    let build = async |options: &[&str]| {
        App::build(&config(&url, options)).await.err().map(|error| format!("{error:#}"))
    };
    let issuer = ["--oidc-issuer", "https://id.example.com"];
    assert_eq!(build(&issuer).await.unwrap(), "--oidc-issuer needs --oidc-audience");
    let missing = ["--oidc-audience", "rookery", "--oidc-ca-file", "/nothing.pem"];
    let error = build(&[&issuer[..], &missing].concat()).await.unwrap();
    assert!(error.contains("/nothing.pem"), "{error}");
    let no_certificate = ["--oidc-audience", "rookery", "--oidc-ca-file", "Cargo.toml"];
    let error = build(&[&issuer[..], &no_certificate].concat()).await.unwrap();
    assert_eq!(error, "there is no certificate in Cargo.toml");
}

/// Without a provider, a token of any provider is as wrong as any other text.
#[tokio::test]
async fn without_a_provider_no_token_is_accepted() {
    let provider = IdentityProvider::start().await;
    let app = TestApp::new().await;
    let susan = client(&app, provider.token("susan"));
    let (code, statements) = app.count_statements(susan.error(VIEWER)).await;
    assert_eq!((&*code, statements), ("UNAUTHENTICATED", 0));
    assert_eq!(provider.fetches(), 0);
}

/// The response to a token, including errors.
async fn response(app: &TestApp, token: &str) -> Value {
    app.post(Some(token), &json!({ "query": VIEWER })).await
}
