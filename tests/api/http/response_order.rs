//! Response data: fields in the order of the document, and propagation of nulls.

use axum::http::{Request, header};
use serde_json::json;

use crate::support::app::TestApp;

/// The body of a response as text, which shows the order of its fields.
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
async fn response_fields_are_in_the_order_of_the_document() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    app.register("susan").await.follow(&john).await;
    let document = "{ z: user(by: {username: \"john\"}) { followers { nodes { ...f } totalCount }
        username } a: user(by: {username: \"susan\"}) { username followersCount } }
        fragment f on User { followingCount username }";
    assert_eq!(
        text(&app, None, document).await,
        r#"{"data":{"z":{"followers":{"nodes":[{"followingCount":1,"username":"susan"}],"totalCount":1},"username":"john"},"a":{"username":"susan","followersCount":0}}}"#
    );
}

#[tokio::test]
async fn an_error_in_a_non_null_field_nulls_the_nearest_nullable_parent() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let token = john.token.as_deref();
    let document = "{ viewer { email user { username timeline(first: 0) { nodes { id } } } }
        user(by: {username: \"john\"}) { username } }";
    let response = text(&app, token, document).await;
    assert!(
        response.starts_with(r#"{"data":{"viewer":null,"user":{"username":"john"}},"errors":"#),
        "{response}"
    );
    let response = text(&app, token, "{ users(first: 0) { totalCount } viewer { email } }").await;
    assert!(response.starts_with(r#"{"data":null,"errors":"#), "{response}");
}
