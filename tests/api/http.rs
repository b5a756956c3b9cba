//! GraphQL over HTTP, as its specification has it: which requests are read, and which status code,
//! media type and headers each answer gets. What is sent with bad intent is in `attack`, what
//! becomes of variables in `variables`, and what is beside `/graphql` in `page`.

mod answer;
mod attack;
mod cached;
mod origin;
mod page;
mod persisted;
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

use crate::app::{PASSWORD, TestApp};

const MODERN: &str = "application/graphql-response+json";
const CLASSIC: &str = "application/json";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of the first error of an answer whose document did not run.
    fn refusal(&self) -> &str {
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

async fn send(app: &TestApp, request: Builder, body: impl Into<Body>) -> Answer {
    let (status, headers, body) = app.send(request.body(body.into()).unwrap()).await;
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Answer { status, headers, body }
}

fn post(accept: &str) -> Builder {
    Request::post("/graphql").header(header::CONTENT_TYPE, CLASSIC).header(header::ACCEPT, accept)
}

/// The address of a GET with these parameters.
fn address(parameters: &[(&str, &str)]) -> String {
    let mut address = "/graphql?".to_owned();
    for (name, value) in parameters {
        write!(address, "{name}=").unwrap();
        value.bytes().for_each(|byte| write!(address, "%{byte:02x}").unwrap());
        address.push('&');
    }
    address
}

async fn get(app: &TestApp, parameters: &[(&str, &str)]) -> Answer {
    send(app, reading(parameters), "").await
}

/// As no page of another site can send it.
fn reading(parameters: &[(&str, &str)]) -> Builder {
    Request::get(address(parameters)).header("graphql-require-preflight", "1")
}

#[tokio::test]
async fn post_and_get_answer_alike() {
    let app = TestApp::new().await;
    app.join("john").await;
    let query = "query other { __typename } query one($name: String!) {
        user(by: {username: $name}) { username } }";
    let variables = json!({ "name": "JOHN" });
    let expected = json!({ "data": { "user": { "username": "john" } } });

    let parameters = json!({ "query": query, "operationName": "one", "variables": variables,
        "extensions": {}, "unknown": 1 });
    assert_eq!(send(&app, post(MODERN), parameters.to_string()).await.body, expected);
    let variables = variables.to_string();
    let parameters = [("query", query), ("operationName", "one"), ("variables", &variables)];
    assert_eq!(get(&app, &parameters).await.body, expected);

    let nulls = json!({ "query": "{ __typename }", "operationName": null, "variables": null,
        "extensions": null });
    let expected = json!({ "data": { "__typename": "Query" } });
    assert_eq!(send(&app, post(CLASSIC), nulls.to_string()).await.body, expected);
    let empty = [("query", "{ __typename }"), ("operationName", ""), ("variables", "")];
    assert_eq!(get(&app, &empty).await.body, expected);
}

#[tokio::test]
async fn the_client_chooses_the_media_type() {
    let app = TestApp::new().await;
    let query = json!({ "query": "{ __typename }" }).to_string();
    let json = Request::post("/graphql").header(header::CONTENT_TYPE, CLASSIC);
    let answer = send(&app, json, query.clone()).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json; charset=utf-8");
    for (accept, expected) in [
        (MODERN, MODERN),
        (CLASSIC, CLASSIC),
        ("*/*", CLASSIC),
        ("application/graphql-response+json, application/json;q=0.9", MODERN),
        ("text/html, application/graphql-response+json;q=0.1", MODERN),
    ] {
        let answer = send(&app, post(accept), query.clone()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let content_type = answer.header(header::CONTENT_TYPE);
        assert_eq!(content_type, format!("{expected}; charset=utf-8"), "{accept}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
    for accept in ["text/html", "application/json;q=0", "image/*"] {
        let answer = send(&app, post(accept), query.clone()).await;
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
        assert_eq!(answer.refusal(), "BAD_REQUEST");
    }
}

/// What a browser sends across origins without asking first never reaches a mutation.
#[tokio::test]
async fn only_json_is_read() {
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
        let mut request = Request::post("/graphql").header(header::ACCEPT, MODERN);
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let answer = send(&app, request, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert_eq!(answer.refusal(), "BAD_REQUEST");
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
        let answer = send(&app, request, "{\"query\": \"{ __typename }\"}").await;
        assert_eq!(answer.status, StatusCode::OK, "{content_type}");
    }
}

#[tokio::test]
async fn mutations_need_a_post() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let hidden = "query innocent { __typename }
        mutation guilty { follow(user: {username: \"susan\"}) { changed } }";
    let plain = hidden.split_once('\n').unwrap().1;
    for parameters in [vec![("query", plain)], vec![("query", hidden), ("operationName", "guilty")]]
    {
        let bearer = format!("Bearer {}", john.token.as_deref().unwrap());
        let request = Request::get(address(&parameters)).header(header::AUTHORIZATION, bearer);
        let answer = send(&app, request, "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.header(header::ALLOW), "POST");
        assert_eq!(answer.refusal(), "BAD_REQUEST");
    }
    let innocent = get(&app, &[("query", hidden), ("operationName", "innocent")]).await;
    assert_eq!(innocent.body, json!({ "data": { "__typename": "Query" } }));
    assert!(john.follow(&susan).await, "nothing had happened so far");

    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
        let request = Request::builder().method(method).uri("/graphql");
        let answer = send(&app, request.header(header::CONTENT_TYPE, CLASSIC), "{}").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.header(header::ALLOW), "GET, POST", "{method}");
    }
}

/// Whatever the media type, 400 says that this was not a GraphQL request at all.
#[tokio::test]
async fn what_is_no_request_gets_400() {
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
        for accept in [MODERN, CLASSIC] {
            let text = String::from_utf8_lossy(&body).into_owned();
            let answer = send(&app, post(accept), body.clone()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}");
            assert_eq!(answer.refusal(), "BAD_REQUEST", "{text}");
        }
    }
    for parameters in [vec![], vec![("query", query), ("variables", "[1]")], vec![("quer", query)]]
    {
        let answer = get(&app, &parameters).await;
        assert_eq!((answer.status, answer.refusal()), (StatusCode::BAD_REQUEST, "BAD_REQUEST"));
    }
}

/// The new media type tells by its status that a document did not run; the old one says 200.
#[tokio::test]
async fn a_document_that_cannot_run_has_no_data() {
    let app = TestApp::new().await;
    let two = "query a { __typename } query b { __typename }";
    for (query, operation, code) in [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("", None, "GRAPHQL_PARSE_FAILED"),
        ("fragment f on Query { __typename }", None, "GRAPHQL_PARSE_FAILED"),
        ("type Query { a: Int }", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ users(first: \"ten\") { totalCount } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(by: {}) { id } }", None, "GRAPHQL_VALIDATION_FAILED"),
        (two, None, "GRAPHQL_VALIDATION_FAILED"),
        (two, Some("c\r\nSet-Cookie: d"), "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let body = json!({ "query": query, "operationName": operation }).to_string();
        for (accept, status) in [(MODERN, StatusCode::BAD_REQUEST), (CLASSIC, StatusCode::OK)] {
            let answer = send(&app, post(accept), body.clone()).await;
            assert_eq!((answer.status, answer.refusal()), (status, code), "{query}");
        }
    }
    let answer =
        send(&app, post(MODERN), json!({ "query": "{ node(id: \"?\") { id } }" }).to_string());
    let answer = answer.await;
    assert_eq!(answer.status, StatusCode::OK, "this one ran");
    assert_eq!(answer.body["errors"][0]["extensions"]["code"], "INVALID_ID");
}

#[tokio::test]
async fn a_token_is_right_or_an_error() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let right = format!("Bearer {}", john.token.as_deref().unwrap());
    let body = json!({ "query": "{ viewer { email } }" }).to_string();
    let ask = async |value: &str, accept| {
        send(&app, post(accept).header(header::AUTHORIZATION, value), body.clone()).await
    };
    for value in [&right, &right.replace("Bearer", "bearer")] {
        let answer = ask(value, MODERN).await;
        assert_eq!(answer.body["data"]["viewer"]["email"], "john@example.com");
    }
    let refused = async |value: &str| {
        for accept in [MODERN, CLASSIC] {
            let answer = ask(value, accept).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
            assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer");
            assert_eq!(answer.refusal(), "UNAUTHENTICATED");
        }
    };
    let (_, token) = right.split_once(' ').unwrap();
    let basic = format!("Basic {token}");
    let longer = format!("{right}x");
    for wrong in ["", "Bearer", "Bearer ", "Bearer rookery_guess", token, &basic, &longer] {
        refused(wrong).await;
    }
    session::Entity::update_many()
        .col_expr(session::Column::ExpiresAt, Expr::value(Utc::now() - TimeDelta::seconds(1)))
        .exec(app.database().writer())
        .await
        .unwrap();
    refused(&right).await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_given_up() {
    let app = TestApp::with(&["--header-timeout", "1"]).await;
    let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = tokio::time::timeout(Duration::from_secs(30), send(&app, post(MODERN), endless));
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, answer.refusal()), (StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST"));
}
