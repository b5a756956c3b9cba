//! The form of an answer: fields in the order of the document, and nulls where the types allow them.

use axum::http::Request;
use axum::http::header;
use serde_json::json;

use crate::app::TestApp;

/// The text of an answer, in which the order of fields can be seen.
async fn text(app: &TestApp, token: Option<&str>, document: &str) -> String {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let request = match token {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    };
    let body = json!({ "query": document }).to_string();
    app.send(request.body(body.into()).unwrap()).await.2
}

#[tokio::test]
async fn fields_come_in_the_order_of_the_document() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    app.join("susan").await.follow(&john).await;
    let document = "{ z: user(by: {username: \"john\"}) { followers { nodes { ...f } totalCount }
        username } a: user(by: {username: \"susan\"}) { username followersCount } }
        fragment f on User { followingCount username }";
    assert_eq!(
        text(&app, None, document).await,
        r#"{"data":{"z":{"followers":{"nodes":[{"followingCount":1,"username":"susan"}],"totalCount":1},"username":"john"},"a":{"username":"susan","followersCount":0}}}"#
    );
}

#[tokio::test]
async fn a_field_that_may_not_be_null_takes_its_parent_along() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let token = john.token.as_deref();
    let document = "{ viewer { email user { username timeline(first: 0) { nodes { id } } } }
        user(by: {username: \"john\"}) { username } }";
    let answer = text(&app, token, document).await;
    assert!(
        answer.starts_with(r#"{"data":{"viewer":null,"user":{"username":"john"}},"errors":"#),
        "{answer}"
    );
    let answer = text(&app, token, "{ users(first: 0) { totalCount } viewer { email } }").await;
    assert!(answer.starts_with(r#"{"data":null,"errors":"#), "{answer}");
}
