//! GraphQL over HTTP: requests, status codes, media types and headers.
//!
//! These tests follow the GraphQL over HTTP specification. The submodules test attacks,
//! connections, caching by entity tags and batches, cross-origin requests, persisted documents, the
//! routes other than `/graphql`, the order of response fields, switches, and variables.

mod attack;
mod connection;
mod documents;
mod etag;
mod origin;
mod persisted;
mod playground_and_health;
mod response_order;
mod switches;
mod variables;

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::{TimeDelta, Utc};
use entity::session;
use futures_util::stream;
use sea_orm::EntityTrait as _;
use sea_orm::sea_query::Expr;
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp};

/// The media type of the specification, with which request errors have status 4xx.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
/// The older media type: request errors of a well-formed request have status 200.
const JSON: &str = "application/json";

struct HttpResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl HttpResponse {
    /// The value of a header, or an empty string.
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of the first error of a response without `data`.
    ///
    /// Such a response has 1 to 20 errors, each with a code and at most 300 characters.
    fn error_code(&self) -> &str {
        assert!(self.body.get("data").is_none(), "{:#}", self.body);
        let errors = self.body["errors"].as_array().unwrap();
        assert!((1..=20).contains(&errors.len()), "{} errors", errors.len());
        for error in errors {
            let length = error["message"].as_str().unwrap().trim_end_matches('…').chars().count();
            assert!((1..=300).contains(&length), "{length} characters");
            assert!(error["extensions"]["code"].is_string(), "{error:#}");
        }
        errors[0]["extensions"]["code"].as_str().unwrap()
    }
}

async fn send(app: &TestApp, request: Builder, body: impl Into<Body>) -> HttpResponse {
    let (status, headers, body) = app.send(request.body(body.into()).unwrap()).await;
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    HttpResponse { status, headers, body }
}

fn post(accept: &str) -> Builder {
    Request::post("/graphql").header(header::CONTENT_TYPE, JSON).header(header::ACCEPT, accept)
}

/// The path and query string of a GET with these parameters.
fn get_uri(parameters: &[(&str, &str)]) -> String {
    let mut uri = "/graphql?".to_owned();
    for (name, value) in parameters {
        write!(uri, "{name}=").unwrap();
        value.bytes().for_each(|byte| write!(uri, "%{byte:02x}").unwrap());
        uri.push('&');
    }
    uri
}

async fn get(app: &TestApp, parameters: &[(&str, &str)]) -> HttpResponse {
    send(app, get_request(parameters), "").await
}

/// A GET request with a header that requires a CORS preflight.
///
/// A page of another site can send the header only after a preflight.
fn get_request(parameters: &[(&str, &str)]) -> Builder {
    Request::get(get_uri(parameters)).header("graphql-require-preflight", "1")
}

#[tokio::test]
async fn post_and_get_return_the_same_response() {
    let app = TestApp::new().await;
    app.register("john").await;
    let query = "query other { __typename } query user($name: String!) {
        user(by: {username: $name}) { username } }";
    let variables = json!({ "name": "JOHN" });
    let expected = json!({ "data": { "user": { "username": "john" } } });

    let parameters = json!({ "query": query, "operationName": "user", "variables": variables,
        "extensions": {}, "unknown": 1 });
    assert_eq!(send(&app, post(GRAPHQL_RESPONSE), parameters.to_string()).await.body, expected);
    let variables = variables.to_string();
    let parameters = [("query", query), ("operationName", "user"), ("variables", &variables)];
    assert_eq!(get(&app, &parameters).await.body, expected);

    let nulls = json!({ "query": "{ __typename }", "operationName": null, "variables": null,
        "extensions": null });
    let expected = json!({ "data": { "__typename": "Query" } });
    assert_eq!(send(&app, post(JSON), nulls.to_string()).await.body, expected);
    let empty = [("query", "{ __typename }"), ("operationName", ""), ("variables", "")];
    assert_eq!(get(&app, &empty).await.body, expected);
}

/// A client that is signed out sends the header all the same.
#[tokio::test]
async fn a_blank_authorization_is_anonymous() {
    let app = TestApp::new().await;
    app.register("john").await;
    let login = format!(
        "mutation {{ login(input: {{username: \"john\", password: \"{PASSWORD}\"}}) \
         {{ token userErrors {{ code }} }} }}"
    );
    for blank in ["", " ", "\t"] {
        let request = post(JSON).header(header::AUTHORIZATION, blank);
        let response = send(&app, request, json!({ "query": login }).to_string()).await;
        assert!(response.body["data"]["login"]["token"].is_string(), "{:#}", response.body);
    }
    for malformed in ["Bearer", "x"] {
        let request = post(JSON).header(header::AUTHORIZATION, malformed);
        let response = send(&app, request, json!({ "query": login }).to_string()).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn accept_selects_the_media_type_and_unknown_types_get_406() {
    let app = TestApp::new().await;
    let query = json!({ "query": "{ __typename }" }).to_string();
    let json = Request::post("/graphql").header(header::CONTENT_TYPE, JSON);
    let response = send(&app, json, query.clone()).await;
    assert_eq!(response.header(header::CONTENT_TYPE), "application/json; charset=utf-8");
    for (accept, expected) in [
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (JSON, JSON),
        ("*/*", JSON),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_RESPONSE),
        ("text/html, application/graphql-response+json;q=0.1", GRAPHQL_RESPONSE),
    ] {
        let response = send(&app, post(accept), query.clone()).await;
        assert_eq!(response.status, StatusCode::OK);
        let content_type = response.header(header::CONTENT_TYPE);
        assert_eq!(content_type, format!("{expected}; charset=utf-8"), "{accept}");
        assert_eq!(response.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
    for accept in ["text/html", "application/json;q=0", "image/*"] {
        let response = send(&app, post(accept), query.clone()).await;
        assert_eq!(response.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
        assert_eq!(response.error_code(), "BAD_REQUEST");
    }
}

/// A browser sends the other media types across origins without a CORS preflight.
#[tokio::test]
async fn bodies_other_than_utf8_json_get_415() {
    let app = TestApp::new().await;
    let input = json!({ "username": "eve", "email": "eve@example.com", "password": PASSWORD });
    let query = "mutation ($input: RegisterInput!) { register(input: $input) { token } }";
    let body = json!({ "query": query, "variables": { "input": input } }).to_string();
    for content_type in [
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "application/json;Charset = \"latin1\"",
    ] {
        let mut request = Request::post("/graphql").header(header::ACCEPT, GRAPHQL_RESPONSE);
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let response = send(&app, request, body.clone()).await;
        assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert_eq!(response.error_code(), "BAD_REQUEST");
    }
    for encoding in ["gzip", "br", "GZIP, identity"] {
        let request = post(GRAPHQL_RESPONSE).header(header::CONTENT_ENCODING, encoding);
        let response = send(&app, request, body.clone()).await;
        assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
        assert_eq!(response.error_code(), "BAD_REQUEST");
        let message = response.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(encoding), "{message}");
    }
    let eve = app.anonymous().query("{ user(by: {username: \"eve\"}) { id } }").await;
    assert_eq!(eve["user"], Value::Null);
    for content_type in [
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; charset=utf8",
    ] {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, content_type);
        let response = send(&app, request, "{\"query\": \"{ __typename }\"}").await;
        assert_eq!(response.status, StatusCode::OK, "{content_type}");
    }
}

#[tokio::test]
async fn mutations_by_get_and_other_methods_get_405() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let two_operations = "query read { __typename }
        mutation write { follow(user: {username: \"susan\"}) { changed } }";
    let mutation = two_operations.split_once('\n').unwrap().1;
    for parameters in
        [vec![("query", mutation)], vec![("query", two_operations), ("operationName", "write")]]
    {
        let bearer = format!("Bearer {}", john.token.as_deref().unwrap());
        let request = Request::get(get_uri(&parameters)).header(header::AUTHORIZATION, bearer);
        let response = send(&app, request, "").await;
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.header(header::ALLOW), "POST");
        assert_eq!(response.error_code(), "BAD_REQUEST");
    }
    let query = get(&app, &[("query", two_operations), ("operationName", "read")]).await;
    assert_eq!(query.body, json!({ "data": { "__typename": "Query" } }));
    assert!(john.follow(&susan).await, "the rejected mutations changed nothing");

    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
        let request = Request::builder().method(method).uri("/graphql");
        let response = send(&app, request.header(header::CONTENT_TYPE, JSON), "{}").await;
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(response.header(header::ALLOW), "GET, POST", "{method}");
    }
}

/// A malformed request has status 400 with both media types.
#[tokio::test]
async fn malformed_requests_get_400() {
    let app = TestApp::new().await;
    let query = "{ __typename }";
    let bodies = [
        json!([{ "query": query }]),
        json!([]),
        json!("{ __typename }"),
        json!(null),
        json!({}),
        json!({ "qeury": query }),
        json!({ "query": null }),
        json!({ "query": 1 }),
        json!({ "query": { "kind": "Document" } }),
        json!({ "query": query, "variables": [1] }),
        json!({ "query": query, "variables": "{}" }),
        json!({ "query": query, "operationName": 1 }),
        json!({ "query": query, "extensions": true }),
    ];
    let mut bodies: Vec<Vec<u8>> = bodies.iter().map(|body| body.to_string().into()).collect();
    bodies.extend(["", "NONSENSE", "{\"query\":", "{}{}"].map(Vec::from));
    bodies.push(b"{\"query\": \"{ __typename } # \xff\"}".to_vec());
    for body in bodies {
        for accept in [GRAPHQL_RESPONSE, JSON] {
            let text = String::from_utf8_lossy(&body).into_owned();
            let response = send(&app, post(accept), body.clone()).await;
            assert_eq!(response.status, StatusCode::BAD_REQUEST, "{text}");
            assert_eq!(response.error_code(), "BAD_REQUEST", "{text}");
        }
    }
    for parameters in [vec![], vec![("query", query), ("variables", "[1]")], vec![("qeury", query)]]
    {
        let response = get(&app, &parameters).await;
        assert_eq!(
            (response.status, response.error_code()),
            (StatusCode::BAD_REQUEST, "BAD_REQUEST")
        );
    }
}

#[tokio::test]
async fn documents_with_request_errors_get_400_or_200_by_media_type_and_no_data() {
    let app = TestApp::new().await;
    let two_operations = "query a { __typename } query b { __typename }";
    for (query, operation, code) in [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("", None, "GRAPHQL_PARSE_FAILED"),
        ("fragment f on Query { __typename }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("type Query { a: Int }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ nope }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ users(first: \"ten\") { totalCount } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(by: {}) { id } }", None, "GRAPHQL_VALIDATION_FAILED"),
        (two_operations, None, "GRAPHQL_VALIDATION_FAILED"),
        (two_operations, Some("c\r\nSet-Cookie: d"), "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let body = json!({ "query": query, "operationName": operation }).to_string();
        for (accept, status) in
            [(GRAPHQL_RESPONSE, StatusCode::BAD_REQUEST), (JSON, StatusCode::OK)]
        {
            let response = send(&app, post(accept), body.clone()).await;
            assert_eq!((response.status, response.error_code()), (status, code), "{query}");
        }
    }
    let response = send(
        &app,
        post(GRAPHQL_RESPONSE),
        json!({ "query": "{ node(id: \"?\") { id } }" }).to_string(),
    );
    let response = response.await;
    assert_eq!(response.status, StatusCode::OK, "an error in a field is not a request error");
    assert_eq!(response.body["errors"][0]["extensions"]["code"], "INVALID_ID");
}

#[tokio::test]
async fn malformed_wrong_and_expired_tokens_get_401() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let valid = format!("Bearer {}", john.token.as_deref().unwrap());
    let body = json!({ "query": "{ viewer { email } }" }).to_string();
    let send_with = async |value: &str, accept| {
        send(&app, post(accept).header(header::AUTHORIZATION, value), body.clone()).await
    };
    for value in [&valid, &valid.replace("Bearer", "bearer")] {
        let response = send_with(value, GRAPHQL_RESPONSE).await;
        assert_eq!(response.body["data"]["viewer"]["email"], "john@example.com");
    }
    let assert_rejected = async |value: &str| {
        for accept in [GRAPHQL_RESPONSE, JSON] {
            let response = send_with(value, accept).await;
            assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{value}");
            assert_eq!(response.header(header::WWW_AUTHENTICATE), "Bearer");
            assert_eq!(response.error_code(), "UNAUTHENTICATED");
        }
    };
    let (_, token) = valid.split_once(' ').unwrap();
    let basic = format!("Basic {token}");
    let longer = format!("{valid}x");
    for wrong in ["Bearer", "Bearer ", "Bearer rookery_guess", token, &basic, &longer] {
        assert_rejected(wrong).await;
    }
    session::Entity::update_many()
        .col_expr(session::Column::ExpiresAt, Expr::value(Utc::now() - TimeDelta::seconds(1)))
        .exec(app.database().writer())
        .await
        .unwrap();
    assert_rejected(&valid).await;
}

#[tokio::test]
async fn a_body_that_does_not_end_gets_408_after_the_read_timeout() {
    let app = TestApp::with(&["--read-timeout", "1"]).await;
    let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let response =
        tokio::time::timeout(Duration::from_secs(30), send(&app, post(GRAPHQL_RESPONSE), endless));
    let response = response.await.unwrap();
    assert_eq!(
        (response.status, response.error_code()),
        (StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST")
    );
}
