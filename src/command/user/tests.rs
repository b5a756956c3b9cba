//! The subcommands of `rookery user`.

use clap::Parser;
use serde_json::{Value, json};

use super::actions::{self, OperatorPassword};
use super::{UserArgs, run};
use crate::command::testing::TestDatabase;
use crate::command::{seed, token};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    user: UserArgs,
}

async fn demo() -> TestDatabase {
    let database = TestDatabase::new().await;
    seed::demo(&database.db, "$argon2id$hash").await.unwrap();
    database
}

/// The output of a subcommand, or its error.
async fn output(database: &TestDatabase, arguments: &[&str]) -> Result<String, String> {
    let arguments = std::iter::once("user").chain(arguments.iter().copied());
    let parsed = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
    run(&database.db, parsed.user).await.map_err(|error| format!("{error:#}"))
}

/// The JSON that a subcommand prints.
async fn printed(database: &TestDatabase, arguments: &[&str]) -> Value {
    let text = output(database, &[arguments, &["--json"]].concat()).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Sets susan's password, with the default rule.
async fn set_password(database: &TestDatabase, text: &str) -> Result<(), String> {
    let password = OperatorPassword { text: text.into(), min_score: 2 };
    let set = actions::set_password(&database.db, "susan", password).await;
    set.map_err(|error| error.to_string())
}

/// The actions in the log, oldest first.
async fn log(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT CAST(action AS text) || coalesce(' ' || detail, '')
        FROM moderation_log WHERE actor_id IS NULL ORDER BY id";
    database.column(sql).await
}

#[tokio::test]
async fn accounts_are_listed_and_shown_without_their_hash() {
    let database = demo().await;
    let all = printed(&database, &["list"]).await;
    let all = all.as_array().unwrap();
    assert!(all.len() >= 4, "{all:?}");
    let some = printed(&database, &["list", "--prefix", "SUS", "--limit", "5"]).await;
    assert_eq!(some[0]["username"], "susan");
    let shown = output(&database, &["show", "Susan"]).await.unwrap();
    assert!(shown.contains("username: susan\n") && shown.contains("role: user\n"), "{shown}");
    assert!(!shown.contains("argon2id"), "{shown}");
    assert_eq!(printed(&database, &["show", "susan"]).await["hasPassword"], true);
    let unknown = output(&database, &["show", "unknown"]).await;
    assert_eq!(unknown, Err("there is no user 'unknown'".to_owned()));
    assert!(log(&database).await.is_empty());
}

#[tokio::test]
async fn each_change_is_made_once_and_recorded() {
    let database = demo().await;
    let suspend = ["suspend", "john", "--reason", "Spam.", "--until", "2099-01-01T00:00:00Z"];
    for _ in 0..2 {
        let created = ["create", "eve", "--email", "Eve@Example.com", "--display-name", "Eve"];
        let eve = output(&database, &[&created[..], &["--json"]].concat()).await;
        match eve {
            Ok(eve) => assert!(eve.contains("\"email\":\"eve@example.com\""), "{eve}"),
            Err(error) => assert!(error.contains("taken") || error.contains("registered")),
        }
        assert_eq!(printed(&database, &["role", "eve", "moderator"]).await["role"], "moderator");
        let suspended = printed(&database, &suspend).await;
        assert_eq!(suspended["suspendedUntil"], "2099-01-01T00:00:00.000Z");
    }
    let eve = printed(&database, &["show", "eve"]).await;
    assert_eq!((&eve["emailVerified"], &eve["hasPassword"]), (&json!(false), &json!(false)));
    let only = printed(&database, &["list", "--suspended"]).await;
    assert_eq!((only.as_array().unwrap().len(), &only[0]["username"]), (1, &json!("john")));
    let only = printed(&database, &["list", "--role", "moderator"]).await;
    assert_eq!((only.as_array().unwrap().len(), &only[0]["username"]), (1, &json!("eve")));
    assert!(token::create(&database.db, "john", 1).await.is_err());
    for _ in 0..2 {
        assert_eq!(printed(&database, &["unsuspend", "john"]).await["isSuspended"], false);
    }
    let renamed = printed(&database, &["rename", "john", "johnny"]).await;
    assert_eq!(renamed["username"], "johnny");
    token::create(&database.db, "johnny", 1).await.unwrap();
    assert_eq!(printed(&database, &["sessions", "johnny"]).await.as_array().unwrap().len(), 1);
    for _ in 0..2 {
        assert_eq!(printed(&database, &["sessions", "johnny", "--end"]).await, json!([]));
    }
    // The operator vouches for the address, and may use a reserved name.
    let staff = ["create", "support", "--email", "help@example.com", "--email-verified"];
    assert_eq!(printed(&database, &staff).await["emailVerified"], true);
    let expected = ["4", "7 moderator", "0", "1", "6 johnny", "8", "4"];
    assert_eq!(log(&database).await, expected);
    database.assert_healthy().await;
}

#[tokio::test]
async fn a_new_password_and_a_lower_role_end_all_sessions() {
    let database = demo().await;
    printed(&database, &["role", "susan", "admin"]).await;
    token::create(&database.db, "susan", 1).await.unwrap();
    assert_eq!(printed(&database, &["role", "susan", "moderator"]).await["sessions"], 0);
    token::create(&database.db, "susan", 1).await.unwrap();
    set_password(&database, "another horse battery").await.unwrap();
    assert_eq!(printed(&database, &["show", "susan"]).await["sessions"], 0);
    let short = set_password(&database, "short").await.unwrap_err();
    assert_eq!(short, "A password must be 8 to 128 characters long.");
    let weak = set_password(&database, "susan1990").await.unwrap_err();
    assert!(weak.starts_with("This password is too easy to guess."), "{weak}");
    assert_eq!(log(&database).await, ["7 admin", "7 moderator", "5"]);
}

#[tokio::test]
async fn a_deletion_needs_its_confirmation_and_leaves_an_exact_database() {
    let database = demo().await;
    assert!(output(&database, &["delete", "susan"]).await.unwrap_err().contains("--yes"));
    let before = database.count("user").await;
    let deleted = printed(&database, &["delete", "susan", "--yes"]).await;
    assert_eq!(deleted["username"], "susan");
    assert_eq!(database.count("user").await, before - 1);
    assert!(output(&database, &["delete", "susan", "--yes"]).await.is_err());
    assert_eq!(log(&database).await, ["9"]);
    database.assert_healthy().await;
}

#[tokio::test]
async fn invalid_values_change_nothing() {
    let database = demo().await;
    for (arguments, reason) in [
        (&["create", "a b", "--email", "a@example.com"][..], "A username must consist of"),
        (&["create", "eve", "--email", "eve"], "This is not a valid e-mail address"),
        (&["create", "eve", "--email", "susan@example.com"], "already registered"),
        (&["rename", "john", "susan"], "This username is taken."),
        (&["rename", "john", ""], "A username must consist of"),
        (&["suspend", "john", "--reason", ""], "This must be 1 to 500 characters long."),
        (
            &["suspend", "john", "--reason", "x", "--until", "2020-01-01T00:00:00Z"],
            "must end in the future",
        ),
        (&["role", "john", "king"], "invalid value"),
        (&["role", "unknown", "admin"], "there is no user 'unknown'"),
    ] {
        let error = output(&database, arguments).await.unwrap_err();
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
    assert!(log(&database).await.is_empty());
}
