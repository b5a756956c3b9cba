//! Accounts: registration, passwords, sessions and account deletion.
//!
//! The first test is the password test of the Flask Mega-Tutorial, in GraphQL.

mod without_password;

use entity::{session, user};
use rookery::auth::Viewer;
use rookery::database::{Database, Snapshot};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp, config};

/// Another password than [`PASSWORD`].
const NEW_PASSWORD: &str = "two herons fishing";

const REGISTER: &str = "mutation ($input: RegisterInput!) { register(input: $input) { token
    userErrors { __typename code path } } }";

async fn login(app: &TestApp, username: &str, password: &str) -> Value {
    let document = "mutation ($input: LoginInput!) { login(input: $input) {
        token expiresAt viewer { email user { username isViewer } sessions { isCurrent userAgent } }
        userErrors { __typename code message path } } }";
    let variables = json!({ "input": { "username": username, "password": password } });
    app.anonymous().run(document, variables).await["login"].take()
}

fn with_token<'a>(actor: &Actor<'a>, payload: &Value) -> Actor<'a> {
    let token = payload["token"].as_str().map(str::to_owned);
    Actor { app: actor.app, username: actor.username.clone(), token, id: actor.id.clone() }
}

#[tokio::test]
async fn login_accepts_only_the_right_password_and_any_spelling_of_the_name() {
    let app = TestApp::new().await;
    app.register("susan").await;
    let wrong = login(&app, "susan", "dog dog dog").await;
    let unknown = login(&app, "unknown", "dog dog dog").await;
    let expected = json!({
        "token": null, "expiresAt": null, "viewer": null,
        "userErrors": [{ "__typename": "CredentialsError", "code": "INVALID_CREDENTIALS",
            "message": "The username or the password is wrong.", "path": ["input"] }],
    });
    assert_eq!(wrong, expected);
    assert_eq!(unknown, expected, "an unknown user gets the same error");

    for name in ["susan", "SUSAN", "susan@example.com", " Susan@Example.com "] {
        let payload = login(&app, name, PASSWORD).await;
        assert!(payload["token"].as_str().unwrap().starts_with("rookery_"), "{name}");
        let user = json!({ "username": "susan", "isViewer": true });
        assert_eq!(
            payload["viewer"]["user"], user,
            "the viewer of the payload is the user who logged in"
        );
        let current = json!({ "isCurrent": true, "userAgent": "tests" });
        assert_eq!(payload["viewer"]["sessions"][0], current);
    }
}

#[tokio::test]
async fn login_hashes_once_for_known_and_unknown_users() {
    let app = TestApp::new().await;
    app.register("susan").await;
    let mut hashes = vec![];
    for name in ["susan", "unknown", "unknown@example.com", "\u{1F426}"] {
        let before = app.app.passwords.hashes_total();
        login(&app, name, "dog dog dog").await;
        hashes.push(app.app.passwords.hashes_total() - before);
    }
    assert_eq!(hashes, [1, 1, 1, 1]);
}

#[tokio::test]
async fn the_oldest_session_ends_when_a_user_has_more_than_a_hundred() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    for _ in 0..100 {
        rookery::command::token::create(app.database(), "susan", 1).await.unwrap();
    }
    assert_eq!(
        susan.error("{ viewer { email } }").await,
        "UNAUTHENTICATED",
        "the oldest session has ended"
    );
    let sessions = session::Entity::find().all(app.database().reader()).await.unwrap();
    assert_eq!(sessions.len(), 100);
}

#[tokio::test]
async fn passwords_and_tokens_are_stored_as_hashes() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let reader = app.database().reader();
    let user = user::Entity::find().one(reader).await.unwrap().unwrap();
    assert!(user.password_hash.unwrap().0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
    let session = session::Entity::find().one(reader).await.unwrap().unwrap();
    assert_eq!(session.token_hash.0.len(), 32);
    let token = susan.token.unwrap();
    assert_eq!(token.len(), "rookery_".len() + 43, "256 bits");
    assert!(!format!("{session:?}").contains(&token));
}

#[tokio::test]
async fn register_rejects_taken_and_invalid_input() {
    let app = TestApp::new().await;
    app.register("john").await;
    let errors_of = async |input: Value| {
        let data = app.anonymous().run(REGISTER, json!({ "input": input })).await;
        assert_eq!(data["register"]["token"], Value::Null);
        let errors = data["register"]["userErrors"].as_array().unwrap().clone();
        errors
            .iter()
            .map(|error| format!("{} {}", error["code"].as_str().unwrap(), error["path"]))
            .collect::<Vec<_>>()
    };
    let input = |username: &str, email: &str, password: &str| json!({ "username": username, "email": email, "password": password });
    let errors = errors_of(input("JOHN", "other@example.com", PASSWORD)).await;
    assert_eq!(errors, ["USERNAME_TAKEN [\"input\",\"username\"]"]);
    let errors = errors_of(input("other", " JOHN@example.com", PASSWORD)).await;
    assert_eq!(errors, ["EMAIL_TAKEN [\"input\",\"email\"]"]);
    let long = "x".repeat(31);
    for username in ["", "two words", "h\u{e9}lo", "a-b", &long] {
        let errors = errors_of(input(username, "new@example.com", PASSWORD)).await;
        assert_eq!(errors, ["INVALID_INPUT [\"input\",\"username\"]"], "{username:?}");
    }
    let domain = format!("{}example.com", format!("{}.", "x".repeat(60)).repeat(3));
    let email = |length: usize| format!("{}@{domain}", "x".repeat(length - 1 - domain.len()));
    let long = &email(255);
    for email in ["", "john", "john@", "@a.com", "john@example", "John <john@example.com>", long] {
        let errors = errors_of(input("new", email, PASSWORD)).await;
        assert_eq!(errors, ["INVALID_INPUT [\"input\",\"email\"]"], "{email:?}");
    }
    for password in ["", "7 chars", &"x".repeat(129)] {
        let errors = errors_of(input("new", "new@example.com", password)).await;
        assert_eq!(errors, ["INVALID_INPUT [\"input\",\"password\"]"], "{password:?}");
    }
    let errors = errors_of(input("", "", "")).await;
    assert_eq!(errors.len(), 3, "all errors at once: {errors:?}");
    let longest = json!({ "username": "x".repeat(30), "email": email(254),
        "password": "\u{1F426}\u{1F99C}\u{1F989}\u{1F985}\u{1F54A}\u{1F9A2}\u{1F9A9}\u{1F427}", "displayName": "\u{1F426}".repeat(50) });
    let data = app.anonymous().run(REGISTER, json!({ "input": longest })).await;
    assert_eq!(data["register"]["userErrors"], json!([]), "at the limits");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_of_one_username_succeed_once() {
    let app = TestApp::new().await;
    let results = futures_util::future::join_all((0..10).map(|n| {
        let input = json!({ "username": if n % 2 == 0 { "Wanted" } else { "wanted" },
            "email": format!("{n}@example.com"), "password": PASSWORD });
        let anonymous = app.anonymous();
        async move { anonymous.run(REGISTER, json!({ "input": input })).await }
    }))
    .await;
    let codes: Vec<&Value> =
        results.iter().map(|data| &data["register"]["userErrors"][0]["code"]).collect();
    assert_eq!(codes.iter().filter(|code| code.is_null()).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| ***code == "USERNAME_TAKEN").count(), 9, "{codes:?}");
}

#[tokio::test]
async fn logout_ends_the_current_session_or_all_sessions() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let sessions: Vec<Actor<'_>> =
        [login(&app, "susan", PASSWORD).await, login(&app, "susan", PASSWORD).await]
            .iter()
            .map(|payload| with_token(&susan, payload))
            .collect();
    let list_sessions = "{ viewer { sessions { id } } }";
    assert_eq!(susan.query(list_sessions).await["viewer"]["sessions"].as_array().unwrap().len(), 3);

    let data = sessions[0].query("mutation { logout { changed userErrors { code } } }").await;
    assert_eq!(data["logout"], json!({ "changed": true, "userErrors": [] }));
    assert_eq!(sessions[0].error(list_sessions).await, "UNAUTHENTICATED");
    assert_eq!(susan.query(list_sessions).await["viewer"]["sessions"].as_array().unwrap().len(), 2);

    assert_eq!(susan.mutate("logout(everywhere: true) { changed }").await["changed"], true);
    for session in [&susan, &sessions[1]] {
        assert_eq!(session.error(list_sessions).await, "UNAUTHENTICATED");
    }
    assert_eq!(app.anonymous().error("mutation { logout { changed } }").await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn an_expired_session_is_rejected_and_deleted_at_the_next_login() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let past = chrono::Utc::now() - chrono::TimeDelta::seconds(1);
    session::Entity::update_many()
        .col_expr(session::Column::ExpiresAt, Expr::value(past))
        .exec(app.database().writer())
        .await
        .unwrap();
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    login(&app, "susan", PASSWORD).await;
    let sessions = session::Entity::find().all(app.database().reader()).await.unwrap();
    assert_eq!(sessions.len(), 1, "the expired session was deleted");
}

#[tokio::test]
async fn changing_the_password_ends_all_sessions_and_starts_a_new_one() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let change = |current: &str, new: &str| {
        format!(
            "changePassword(input: {{currentPassword: \"{current}\", newPassword: \"{new}\"}}) {{
                token viewer {{ sessions {{ isCurrent }} }} userErrors {{ code path }} }}"
        )
    };
    assert_eq!(susan.user_error(&change("wrong wrong", NEW_PASSWORD)).await, "INVALID_CREDENTIALS");
    assert_eq!(susan.user_error(&change(PASSWORD, "short")).await, "INVALID_INPUT");
    let document = format!("mutation {{ {} }}", change(PASSWORD, NEW_PASSWORD));
    assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");

    let payload = susan.mutate(&change(PASSWORD, NEW_PASSWORD)).await;
    assert_eq!(payload["viewer"]["sessions"], json!([{ "isCurrent": true }]));
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    let renewed = with_token(&susan, &payload);
    assert_eq!(renewed.query("{ viewer { email } }").await["viewer"]["email"], "susan@example.com");
    assert_eq!(login(&app, "susan", PASSWORD).await["token"], Value::Null);
    assert!(login(&app, "susan", NEW_PASSWORD).await["token"].is_string());
}

#[tokio::test]
async fn deleting_an_account_deletes_only_its_own_rows() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    for (follower, followed) in
        [(john, susan), (susan, john), (mary, susan), (susan, mary), (john, mary)]
    {
        follower.follow(followed).await;
    }
    let susans_post = susan.write("susan's").await;
    let johns_post = john.write("john's").await;
    for (actor, post) in [(john, &susans_post), (susan, &johns_post), (mary, &johns_post)] {
        actor.mutate(&format!("bookmark(postId: \"{post}\") {{ changed }}")).await;
    }
    let delete = |password: &str| {
        format!(
            "deleteAccount(input: {{password: \"{password}\"}}) {{
            changed deletedUserId userErrors {{ code path }} }}"
        )
    };
    assert_eq!(susan.user_error(&delete("wrong wrong")).await, "INVALID_CREDENTIALS");
    let document = format!("mutation {{ {} }}", delete(PASSWORD));
    assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    assert_eq!(john.timeline().await.len(), 2, "nothing has been deleted yet");

    let payload = susan.mutate(&delete(PASSWORD)).await;
    let expected = json!({ "changed": true, "deletedUserId": susan.id, "userErrors": [] });
    assert_eq!(payload, expected);
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    assert_eq!(john.timeline().await, ["john's"]);
    let data = john
        .query(
            "{ viewer { user { followersCount followingCount followers { totalCount nodes { id } }
            following { totalCount nodes { username } } } bookmarks { totalCount nodes { id } } }
            user(by: {username: \"susan\"}) { id }
            mary: user(by: {username: \"mary\"}) { followersCount followingCount } }",
        )
        .await;
    let expected = json!({
        "viewer": {
            "user": { "followersCount": 0, "followingCount": 1,
                "followers": { "totalCount": 0, "nodes": [] },
                "following": { "totalCount": 1, "nodes": [{ "username": "mary" }] } },
            "bookmarks": { "totalCount": 0, "nodes": [] } },
        "user": null,
        "mary": { "followersCount": 1, "followingCount": 0 },
    });
    assert_eq!(data, expected);
    let new_susan = app.register("susan").await;
    assert_ne!(new_susan.id, susan.id, "the name is free, the id is not used again");
}

#[tokio::test]
async fn last_seen_is_written_in_the_background_at_most_once_a_minute() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let seen = "{ viewer { user { lastSeenAt } sessions { lastUsedAt } } }";
    let first = susan.query(seen).await;
    assert_eq!(susan.query(seen).await, first, "not written again within a minute");

    set_last_seen_to_two_minutes_ago(app.database()).await;
    let before = susan.query(seen).await;
    assert_ne!(before, first);
    // That request has triggered the write, which follows in the background.
    for _ in 0..200 {
        let now = susan.query(seen).await;
        if now["viewer"]["user"] != before["viewer"]["user"] {
            assert_ne!(now["viewer"]["sessions"], before["viewer"]["sessions"]);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("lastSeenAt was never written");
}

/// Sets the last-seen times of all users and sessions to two minutes ago.
async fn set_last_seen_to_two_minutes_ago(db: &Database) {
    let past = chrono::Utc::now() - chrono::TimeDelta::minutes(2);
    let column = user::Column::LastSeenAt;
    let users = user::Entity::update_many().col_expr(column, Expr::value(past));
    users.exec(db.writer()).await.unwrap();
    let column = session::Column::LastUsedAt;
    let sessions = session::Entity::update_many()
        .col_expr(column, Expr::value(past))
        .filter(session::Column::Id.gt(0));
    sessions.exec(db.writer()).await.unwrap();
}

#[tokio::test]
async fn a_session_is_readable_by_its_owner_only() {
    let app = TestApp::new().await;
    let (susan, john) = (app.register("susan").await, app.register("john").await);
    let data = susan.query("{ viewer { sessions { id } } }").await;
    let ids = texts(&data["viewer"]["sessions"], "id");
    let node = format!("{{ node(id: \"{}\") {{ __typename id }} }}", ids[0]);
    assert_eq!(susan.query(&node).await["node"]["__typename"], "Session");
    assert_eq!(john.query(&node).await["node"], Value::Null);
    assert_eq!(app.anonymous().query(&node).await["node"], Value::Null);
}

#[tokio::test]
async fn revoke_session_ends_own_sessions_only() {
    let app = TestApp::new().await;
    let (susan, john) = (app.register("susan").await, app.register("john").await);
    let login =
        format!("login(input: {{username: \"susan\", password: \"{PASSWORD}\"}}) {{ token }}");
    let phone = app.anonymous().mutate(&login).await["token"].as_str().unwrap().to_owned();
    let phone =
        Actor { app: &app, token: Some(phone), username: "susan".to_owned(), id: susan.id.clone() };
    let sessions = susan.query("{ viewer { sessions { id isCurrent } } }").await;
    let sessions = sessions["viewer"]["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    let session_id = |is_current: bool| {
        let found = sessions.iter().find(|session| session["isCurrent"] == is_current).unwrap();
        found["id"].as_str().unwrap()
    };
    let revoke = |id: &str| {
        format!("revokeSession(id: \"{id}\") {{ changed revokedSessionId userErrors {{ code }} }}")
    };
    let revoke_phone = revoke(session_id(false));
    let expected = |changed: bool, id: &str| json!({ "changed": changed, "revokedSessionId": id, "userErrors": [] });
    assert_eq!(
        app.anonymous().error(&format!("mutation {{ {revoke_phone} }}")).await,
        "UNAUTHENTICATED"
    );
    assert_eq!(john.mutate(&revoke_phone).await, expected(false, session_id(false)), "not his");
    phone.query("{ viewer { email } }").await;
    assert_eq!(susan.error(&format!("mutation {{ {} }}", revoke(&susan.id))).await, "INVALID_ID");
    assert_eq!(susan.mutate(&revoke_phone).await, expected(true, session_id(false)));
    assert_eq!(phone.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    assert_eq!(susan.mutate(&revoke_phone).await, expected(false, session_id(false)), "again");
    assert_eq!(susan.mutate(&revoke(session_id(true))).await, expected(true, session_id(true)));
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn debug_output_of_viewer_and_config_contains_no_secrets() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let snapshot = Snapshot::new(app.database());
    let viewer = Viewer::authenticate(&snapshot, susan.token.as_ref().unwrap()).await.unwrap();
    let options = ["--smtp-url", "smtps://rookery:secret@mail.example.com"];
    let config = config("postgres://rookery:secret@db/rookery", &options);
    let printed = format!("{viewer:?} {config:?}");
    assert!(printed.contains("susan") && printed.contains("PasswordHash(…)"), "{printed}");
    let hash = format!("{:?}", viewer.session().token_hash.0);
    for secret in ["argon2id", "secret@", &hash] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
