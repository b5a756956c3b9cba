//! Parts of the service that an operator can switch off.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::{GRAPHQL_RESPONSE, post, send};
use crate::support::app::TestApp;

#[tokio::test]
async fn a_disabled_playground_leaves_no_file_and_no_redirect() {
    let app = TestApp::with(&["--no-playground"]).await;
    for path in ["/", "/index.html", "/nothing"] {
        for method in [Method::GET, Method::POST] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let (status, _, body) = app.send(request).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(!body.contains("playground"), "{body}");
        }
    }
    let browser = Request::get("/graphql").header(header::ACCEPT, "text/html,*/*;q=0.8");
    assert_eq!(send(&app, browser, Body::empty()).await.status, StatusCode::BAD_REQUEST);
    let (status, ..) = app.send(Request::get("/livez").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

/// Selections of the schema, each in another form.
const INTROSPECTIONS: [&str; 5] = [
    "{ __schema { queryType { name } } }",
    "{ __type(name: \"User\") { name } }",
    "{ a: __schema { queryType { name } } }",
    "{ users { totalCount } ...a } fragment a on Query { ... { __type(name: \"User\") { name } } }",
    "query ($yes: Boolean = true) { __schema @include(if: $yes) { queryType { name } } }",
];

#[tokio::test]
async fn disabled_introspection_is_for_signed_in_users_only() {
    let app = TestApp::with(&["--no-anonymous-introspection"]).await;
    let (anonymous, susan) = (app.anonymous(), app.register("susan").await);
    for document in INTROSPECTIONS {
        let body = json!({ "query": document }).to_string();
        let response = send(&app, post(GRAPHQL_RESPONSE), body).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{document}");
        assert_eq!(response.error_code(), "UNAUTHENTICATED", "{document}");
        susan.query(document).await;
        // The cache of documents does not know for which client a document is valid.
        assert_eq!(anonymous.error(document).await, "UNAUTHENTICATED", "{document}");
    }
    for document in [
        "{ __typename users { __typename nodes { __typename } } }",
        "{ __typename __schema @skip(if: true) { queryType { name } } }",
        "{ __schema: users { totalCount } }",
    ] {
        let response = anonymous.execute(document, json!({})).await;
        assert_eq!(response.get("errors"), None, "{document}: {response:#}");
    }
}

#[tokio::test]
async fn introspection_is_for_all_clients_by_default() {
    let app = TestApp::new().await;
    for document in INTROSPECTIONS {
        let data = app.anonymous().query(document).await;
        assert_ne!(data, Value::Null, "{document}");
    }
}
