//! Who may register: all clients, those with the code of an invite, or none.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use entity::invite;
use futures_util::future::join_all;
use rookery::app::App;
use rookery::command::invite::{self as invites, Invite, InviteOptions};
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait as _, EntityTrait as _, QueryOrder as _};
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, TestDatabase, config};

const INVITE_ONLY: [&str; 2] = ["--registration", "invite"];

const REGISTER: &str = "mutation ($input: RegisterInput!) { register(input: $input) { token
    userErrors { __typename code message path } } }";

/// The payload of a registration with this code.
async fn register(app: &TestApp, username: &str, code: Option<&str>) -> Value {
    let input = json!({ "username": username, "email": format!("{username}@example.com"),
        "password": PASSWORD, "inviteCode": code });
    app.anonymous().run(REGISTER, json!({ "input": input })).await["register"].take()
}

/// The code and the path of the first user error.
fn error(payload: &Value) -> String {
    let error = &payload["userErrors"][0];
    format!("{} {}", error["code"].as_str().unwrap_or_default(), error["path"])
}

const UNUSABLE: &str = "INVALID_INPUT [\"input\",\"inviteCode\"]";

async fn invite(app: &TestApp, uses: i32) -> String {
    let options = InviteOptions { uses, days: 1, note: String::new() };
    invites::create(app.database(), &options).await.unwrap()
}

/// All invites, oldest first.
async fn rows(app: &TestApp) -> Vec<invite::Model> {
    let invites = invite::Entity::find().order_by_asc(invite::Column::Id);
    invites.all(app.database().writer()).await.unwrap()
}

#[tokio::test]
async fn closed_registration_is_forbidden_and_login_is_not() {
    let fixture = Arc::clone(TestApp::new().await.database_fixture());
    let open = TestApp::at(Arc::clone(&fixture), &[]).await;
    open.register("susan").await;
    let code = invite(&open, 1).await;
    let closed = TestApp::at(fixture, &["--registration", "closed"]).await;
    for code in ["null".to_owned(), format!("\"{code}\"")] {
        let document = format!(
            "mutation {{ register(input: {{username: \"john\", email: \"john@example.com\",
             password: \"{PASSWORD}\", inviteCode: {code}}}) {{ token }} }}"
        );
        assert_eq!(closed.anonymous().error(&document).await, "FORBIDDEN");
    }
    let login =
        format!("login(input: {{username: \"susan\", password: \"{PASSWORD}\"}}) {{ token }}");
    assert!(closed.anonymous().mutate(&login).await["token"].is_string());
    assert_eq!(rows(&closed).await[0].uses, 0);
}

#[tokio::test]
async fn an_open_registration_ignores_codes() {
    let app = TestApp::new().await;
    let code = invite(&app, 1).await;
    for (username, code) in [("john", Some("unknown")), ("susan", Some(&*code)), ("mary", None)] {
        assert!(register(&app, username, code).await["token"].is_string(), "{username}");
    }
    assert_eq!(rows(&app).await[0].uses, 0);
}

#[tokio::test]
async fn a_registration_by_invite_needs_a_code_that_is_not_used_up() {
    let app = TestApp::with(&INVITE_ONLY).await;
    let code = invite(&app, 2).await;
    assert!(code.starts_with("invite_") && code.len() == "invite_".len() + 22, "128 bits");
    let upper = code.to_uppercase();
    for wrong in [None, Some(""), Some("unknown"), Some("invite_"), Some(&*upper)] {
        assert_eq!(error(&register(&app, "john", wrong).await), UNUSABLE, "{wrong:?}");
    }
    let long = "x".repeat(10_000);
    assert_eq!(error(&register(&app, "john", Some(&long)).await), UNUSABLE);

    assert!(register(&app, "john", Some(&code)).await["token"].is_string());
    let input = json!({ "username": "JOHN", "email": "other@example.com", "password": PASSWORD,
        "inviteCode": code });
    let taken = app.anonymous().run(REGISTER, json!({ "input": input })).await;
    assert_eq!(error(&taken["register"]), "USERNAME_TAKEN [\"input\",\"username\"]");
    assert_eq!(rows(&app).await[0].uses, 1, "a registration that fails uses nothing");
    let spaced = format!(" {code}\n");
    assert!(register(&app, "susan", Some(&spaced)).await["token"].is_string());
    assert_eq!(error(&register(&app, "mary", Some(&code)).await), UNUSABLE, "used up");
    // A client without an invite does not find out which names are taken.
    assert_eq!(error(&register(&app, "john", Some(&code)).await), UNUSABLE);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn an_expired_or_revoked_invite_is_unusable() {
    let app = TestApp::with(&INVITE_ONLY).await;
    let (expired, revoked) = (invite(&app, 5).await, invite(&app, 5).await);
    let ids: Vec<i64> = rows(&app).await.iter().map(|row| row.id).collect();
    invites::run(app.database(), &Invite::Revoke { id: ids[1] }).await.unwrap();
    let again = invites::run(app.database(), &Invite::Revoke { id: ids[1] }).await;
    assert_eq!(again.unwrap_err().to_string(), format!("there is no invite {}", ids[1]));
    let past = Utc::now() - TimeDelta::seconds(1);
    invite::Entity::update_many()
        .col_expr(invite::Column::ExpiresAt, Expr::value(past))
        .exec(app.database().writer())
        .await
        .unwrap();
    for code in [&expired, &revoked] {
        assert_eq!(error(&register(&app, "john", Some(code)).await), UNUSABLE);
    }
    invite(&app, 1).await;
    let left: Vec<i64> = rows(&app).await.iter().map(|row| row.id).collect();
    assert!(left.len() == 1 && !ids.contains(&left[0]), "the expired invite was deleted: {left:?}");
}

#[tokio::test]
async fn codes_are_stored_as_hashes_and_listed_without_them() {
    let app = TestApp::with(&INVITE_ONLY).await;
    let options = InviteOptions { uses: 3, days: 1, note: " chess club ".to_owned() };
    let code = invites::create(app.database(), &options).await.unwrap();
    register(&app, "john", Some(&code)).await;
    let row = rows(&app).await.remove(0);
    assert_eq!((row.code_hash.0.len(), row.creator_id), (32, None));
    let list = invites::run(app.database(), &Invite::List).await.unwrap();
    assert!(list.starts_with(&format!("{}  1/3 ", row.id)), "{list}");
    assert!(list.ends_with("Z  chess club\n") && !list.contains(&code), "{list}");
    let notes = ["x".repeat(101), "two\nlines".to_owned()];
    for note in notes {
        let options = InviteOptions { uses: 1, days: 1, note };
        let error = invites::create(app.database(), &options).await.unwrap_err().to_string();
        assert_eq!(error, "a note is a single line of at most 100 characters");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_use_an_invite_exactly_as_often_as_it_allows() {
    let first = TestApp::with(&INVITE_ONLY).await;
    // On PostgreSQL, half of the registrations are on another instance.
    let second = if first.is_on_postgres() {
        TestApp::at(Arc::clone(first.database_fixture()), &INVITE_ONLY).await
    } else {
        first.clone()
    };
    let codes = [invite(&first, 3).await, invite(&first, 2).await];
    // As many as may wait for a password hash on one processor.
    let registrations = (0..16).map(|n| {
        let app = if n % 2 == 0 { &first } else { &second };
        let code = &codes[n / 2 % 2];
        async move { (n / 2 % 2, register(app, &format!("user{n}"), Some(code)).await) }
    });
    let payloads = join_all(registrations).await;
    for (index, uses) in [(0, 3), (1, 2)] {
        let of_code = payloads.iter().filter(|(code, _)| *code == index);
        let (registered, refused): (Vec<&Value>, Vec<&Value>) =
            of_code.map(|(_, payload)| payload).partition(|payload| payload["token"].is_string());
        assert_eq!((registered.len(), refused.len()), (uses, 8 - uses));
        assert!(refused.iter().all(|payload| error(payload) == UNUSABLE), "{refused:?}");
    }
    let used: Vec<i32> = rows(&first).await.iter().map(|row| row.uses).collect();
    assert_eq!(used, [3, 2]);
    let users = first.anonymous().query("{ users { totalCount } }").await;
    assert_eq!(users["users"]["totalCount"], 5);
}

#[tokio::test]
async fn reserved_names_can_be_neither_registered_nor_changed_to() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "# Brands\nAcme\n").unwrap();
    let app = TestApp::with(&["--reserved-names", file.path().to_str().unwrap()]).await;
    for name in ["admin", "Admin", "GRAPHQL", "acme"] {
        let refused = register(&app, name, None).await;
        assert_eq!(error(&refused), "INVALID_INPUT [\"input\",\"username\"]", "{name}");
        let message = refused["userErrors"][0]["message"].as_str().unwrap();
        assert_eq!(message, "This username is reserved. Choose another one.");
    }
    let john = app.register("john").await;
    let rename = |name: &str| {
        format!(
            "updateProfile(input: {{username: \"{name}\"}}) {{ user {{ username }}
             userErrors {{ code path }} }}"
        )
    };
    for name in ["support", "ACME"] {
        assert_eq!(john.user_error(&rename(name)).await, "INVALID_INPUT", "{name}");
    }
    assert_eq!(john.mutate(&rename("administrators")).await["userErrors"], json!([]));

    // The user had the name before it was reserved.
    let earlier = "UPDATE \"user\" SET username = 'acme' WHERE username = 'administrators'";
    app.database().writer().execute_unprepared(earlier).await.unwrap();
    assert_eq!(john.mutate(&rename("ACME")).await["user"]["username"], "ACME");
    assert_eq!(john.user_error(&rename("admin")).await, "INVALID_INPUT");
}

#[tokio::test]
async fn a_file_of_reserved_names_that_is_not_valid_fails_the_start() {
    let fixture = TestDatabase::new().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "Acme\ntwo words\n").unwrap();
    let path = file.path().to_str().unwrap();
    for (path, reason) in [(path, "line 2: 'two words' is no username"), ("/no/file", "No such")] {
        let built = App::build(&config(&fixture.url(), &["--reserved-names", path])).await;
        let error = format!("{:#}", built.err().unwrap());
        let expected = format!("cannot read the reserved names in {path}: {reason}");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn passwords_that_are_easy_to_guess_are_refused_with_a_reason() {
    let app = TestApp::new().await;
    let register = async |username: &str, password: &str| {
        let input = json!({ "username": username, "email": "bird.watcher@example.com",
            "password": password, "displayName": "Ornithopolis" });
        app.anonymous().run(REGISTER, json!({ "input": input })).await["register"].take()
    };
    let before = app.app.passwords.hashes_total();
    for password in
        ["password1", "Passw0rd!", "qwertyuiop", "john_doe_77", "bird.watcher", "ornithopolis1"]
    {
        let refused = register("john_doe_77", password).await;
        assert_eq!(error(&refused), "INVALID_INPUT [\"input\",\"password\"]", "{password}");
        let message = refused["userErrors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("This password is too easy to guess. "), "{message}");
        assert!(!message.contains(password), "{message}");
    }
    assert_eq!(app.app.passwords.hashes_total(), before, "no refused password was hashed");

    let john = app.register("john").await;
    let change = |password: &str| {
        format!(
            "changePassword(input: {{currentPassword: \"{PASSWORD}\", newPassword: \"{password}\"}})
             {{ token userErrors {{ code path }} }}"
        )
    };
    let refused = john.mutate(&change("iloveyou123")).await;
    let expected = json!([{ "code": "INVALID_INPUT", "path": ["input", "newPassword"] }]);
    assert_eq!(refused, json!({ "token": null, "userErrors": expected }));
    assert!(john.mutate(&change("two herons fishing")).await["token"].is_string());
}

#[tokio::test]
async fn the_operator_may_accept_all_passwords_and_existing_ones_stay_valid() {
    let fixture = Arc::clone(TestApp::new().await.database_fixture());
    let all = TestApp::at(Arc::clone(&fixture), &["--min-password-score", "0"]).await;
    let input = json!({ "username": "john", "email": "john@example.com", "password": "password1" });
    let data = all.anonymous().run(REGISTER, json!({ "input": input })).await;
    assert!(data["register"]["token"].is_string());
    let strict = TestApp::at(fixture, &["--min-password-score", "4"]).await;
    let login = "login(input: {username: \"john\", password: \"password1\"}) { token }";
    assert!(strict.anonymous().mutate(login).await["token"].is_string());
}
