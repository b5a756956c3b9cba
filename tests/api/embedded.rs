//! The GraphQL handler for programs that embed Rookery.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
use axum::routing::post;
use http_body_util::BodyExt as _;
use rookery::http::embedded;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::app::TestApp;

/// A program that mounts the handler at a path of its own.
fn program(app: &TestApp) -> Router {
    let social = Router::new().route("/graphql", post(embedded::handle));
    Router::new().nest("/social", social.with_state(app.app.state.clone()))
}

async fn send(program: &Router, peer: &str, token: Option<&str>, body: Value) -> Value {
    let mut request = Request::post("/social/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = program.clone().oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

const HERE: &str = "192.0.2.1:1000";
const ELSEWHERE: &str = "198.51.100.1:1000";

#[tokio::test]
async fn operations_run_as_the_viewer_of_the_token_and_are_recorded() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let program = program(&app);
    let viewer = json!({ "query": "{ viewer { user { username } } }" });
    let response = send(&program, HERE, john.token.as_deref(), viewer.clone()).await;
    assert_eq!(response["data"]["viewer"]["user"]["username"], "john");
    assert_eq!(send(&program, HERE, None, viewer).await["data"]["viewer"], Value::Null);
    let query = "query ($name: String!) { user(by: {username: $name}) { username } }";
    let variables = json!({ "name": "john" });
    let request = json!({ "query": query, "variables": variables });
    assert_eq!(send(&program, HERE, None, request).await["data"]["user"]["username"], "john");
    let metrics = app.app.metrics.scrape();
    let line = "operation_sql_statements_sum{operation=\"user\",type=\"query\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn rejected_requests_have_the_usual_error_codes() {
    let app = TestApp::new().await;
    let program = program(&app);
    let hash = "0".repeat(64);
    let persisted = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    for (token, body, code) in [
        (Some("wrong"), json!({ "query": "{ viewer { email } }" }), "UNAUTHENTICATED"),
        (None, json!({ "query": "{ viewer {" }), "GRAPHQL_PARSE_FAILED"),
        (None, json!({ "query": "{ unknown }" }), "GRAPHQL_VALIDATION_FAILED"),
        (None, json!({ "query": "subscription { timelineEvents { __typename } }" }), "BAD_REQUEST"),
        (None, json!({ "extensions": persisted }), "PERSISTED_QUERY_NOT_FOUND"),
    ] {
        let response = send(&program, HERE, token, body).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], code, "{response}");
    }
}

#[tokio::test]
async fn clients_of_different_networks_have_different_rate_limits() {
    let app = TestApp::with(&["--rate-limit-per-network", "500"]).await;
    let program = program(&app);
    let query = json!({ "query": "{ users(first: 1) { nodes { id } } }" });
    for _ in 0..6 {
        send(&program, HERE, Some("wrong"), query.clone()).await;
    }
    let here = send(&program, HERE, None, query.clone()).await;
    assert_eq!(here["errors"][0]["extensions"]["code"], "RATE_LIMITED", "{here}");
    let elsewhere = send(&program, ELSEWHERE, None, query).await;
    assert_eq!(elsewhere["errors"], Value::Null, "{elsewhere}");
}
