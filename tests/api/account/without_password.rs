//! Accounts without a password, such as those of imported users.
//!
//! They set a first password, and are deleted without any.

use entity::user;
use futures_util::future::join;
use sea_orm::EntityTrait as _;
use sea_orm::sea_query::Expr;
use serde_json::{Value, json};

use super::{NEW_PASSWORD, login, with_token};
use crate::support::app::{PASSWORD, TestApp};

/// Removes the passwords of all users, as imported users have none.
async fn remove_passwords(app: &TestApp) {
    let none = Expr::value(None::<String>);
    let users = user::Entity::update_many().col_expr(user::Column::PasswordHash, none);
    users.exec(app.database().writer()).await.unwrap();
}

#[tokio::test]
async fn an_account_without_a_password_sets_its_first_one() {
    let app = TestApp::new().await;
    app.register("susan").await;
    remove_passwords(&app).await;
    assert_eq!(login(&app, "susan", PASSWORD).await["token"], Value::Null);
    let susan = app.imported("susan").await;
    let has_password = "{ viewer { hasPassword } }";
    assert_eq!(susan.query(has_password).await["viewer"]["hasPassword"], false);
    let selection = "token viewer { hasPassword } userErrors { code path }";
    let change = |input: &str| format!("changePassword(input: {{{input}}}) {{ {selection} }}");
    let first = change(&format!("newPassword: \"{NEW_PASSWORD}\""));
    assert_eq!(app.anonymous().error(&format!("mutation {{ {first} }}")).await, "UNAUTHENTICATED");
    assert_eq!(susan.user_error(&change("newPassword: \"short\"")).await, "INVALID_INPUT");
    assert_eq!(susan.user_error(&change("newPassword: \"password1\"")).await, "INVALID_INPUT");

    let payload = susan.mutate(&first).await;
    assert_eq!(payload["viewer"]["hasPassword"], true);
    assert_eq!(susan.error(has_password).await, "UNAUTHENTICATED", "the session has ended");
    let renewed = with_token(&susan, &payload);
    assert_eq!(renewed.query(has_password).await["viewer"]["hasPassword"], true);
    assert!(login(&app, "susan", NEW_PASSWORD).await["token"].is_string());
    // From now on the password is needed.
    let refused = renewed.mutate(&change(&format!("newPassword: \"{PASSWORD}\""))).await;
    let expected = json!([{ "code": "INVALID_CREDENTIALS", "path": ["input", "currentPassword"] }]);
    assert_eq!(refused["userErrors"], expected);
    let refused = renewed.user_error("deleteAccount(input: {}) { userErrors { code } }").await;
    assert_eq!(refused, "INVALID_CREDENTIALS");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_first_passwords_one_is_set() {
    let app = TestApp::new().await;
    app.register("susan").await;
    remove_passwords(&app).await;
    let sessions = [app.imported("susan").await, app.imported("susan").await];
    let passwords = [PASSWORD, NEW_PASSWORD];
    let change = async |index: usize| {
        let document = format!(
            "mutation {{ changePassword(input: {{newPassword: \"{}\"}}) {{ token }} }}",
            passwords[index]
        );
        sessions[index].execute(&document, json!({})).await
    };
    let responses = join(change(0), change(1)).await;
    let is_set = |response: &Value| response["data"]["changePassword"]["token"].is_string();
    let set = [is_set(&responses.0), is_set(&responses.1)];
    assert_ne!(set[0], set[1], "{responses:#?}");
    let (index, failed) = if set[0] { (0, &responses.1) } else { (1, &responses.0) };
    assert_eq!(failed["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{failed:#}");
    for (password, is_valid) in [(passwords[index], true), (passwords[1 - index], false)] {
        assert_eq!(login(&app, "susan", password).await["token"].is_string(), is_valid);
    }
}

#[tokio::test]
async fn an_account_without_a_password_is_deleted_without_one() {
    let app = TestApp::new().await;
    app.register("susan").await;
    let delete = "deleteAccount(input: {}) { changed deletedUserId userErrors { code } }";
    remove_passwords(&app).await;
    assert_eq!(app.anonymous().error(&format!("mutation {{ {delete} }}")).await, "UNAUTHENTICATED");
    let susan = app.imported("susan").await;
    let expected = json!({ "changed": true, "deletedUserId": susan.id, "userErrors": [] });
    assert_eq!(susan.mutate(delete).await, expected);
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
}
