//! Rate limits by query cost, what is charged to them, and the metrics of failures.

use std::io;
use std::net::IpAddr;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures_util::stream;
use rookery::database::Snapshot;
use rookery::http::Peer;
use serde_json::json;

use super::execute_from;
use crate::support::app::TestApp;

const RATE_LIMIT: &str = "{ rateLimit { cost limit used remaining resetAt } }";

#[tokio::test]
async fn queries_are_charged_by_page_size_to_their_user_or_network() {
    let app =
        TestApp::with(&["--rate-limit-per-user", "2400", "--rate-limit-per-network", "500"]).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let rate = john.query(RATE_LIMIT).await["rateLimit"].take();
    assert_eq!((&rate["cost"], &rate["limit"]), (&json!(6), &json!(2400)));
    assert_eq!((&rate["used"], &rate["remaining"]), (&json!(6), &json!(2394)));
    assert!(rate["resetAt"].is_string());

    // Page sizes multiply. A post costs 4 points, its node and body 1 each, its author's name 2.
    let timeline = "{ viewer { user { timeline(first: 100) { nodes { body author { username } } } } } \
        rateLimit { cost remaining } }";
    let expensive = john.query(timeline).await["rateLimit"].take();
    assert_eq!(expensive["cost"], 2 + 1 + 100 * (4 + 1 + 1 + 2) + 3);
    assert!(expensive["remaining"].as_i64().unwrap() <= 2400 - 6 - 806 + 100);
    john.query(timeline).await;
    let body = json!({ "query": timeline });
    let (status, headers, response) =
        app.post_with(john.token.as_deref(), &HeaderMap::new(), &body).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{response:#}");
    let extensions = &response["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    let seconds = extensions["retryAfterSeconds"].as_u64().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(headers[header::RETRY_AFTER], seconds.to_string());

    // Other users and anonymous clients have their own limits, and a cheap query still passes.
    susan.query(timeline).await;
    john.query("{ __typename }").await;
    for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        let (status, _, response) = execute_from(&app, address, RATE_LIMIT).await;
        assert_eq!(
            (status, &response["data"]["rateLimit"]["limit"]),
            (StatusCode::OK, &json!(500))
        );
    }
    // Its cost is 6 points, and each 64 bytes of the response are one more.
    let used = &execute_from(&app, "2001:db8::2", RATE_LIMIT).await.2["data"]["rateLimit"]["used"];
    let is_shared = used.as_i64().is_some_and(|used| (12..20).contains(&used));
    assert!(is_shared, "both addresses are in one IPv6 /56: {used}");
}

/// A client that has used up its limit is rejected before its document is parsed.
#[tokio::test]
async fn rejected_documents_are_charged_to_the_network() {
    let app = TestApp::with(&["--rate-limit-per-network", "1000"]).await;
    let john = app.register("john").await;
    let mut rejected = 0;
    while execute_from(&app, "192.0.2.1", "{ wrong").await.0 != StatusCode::TOO_MANY_REQUESTS {
        rejected += 1;
    }
    assert!((9..=20).contains(&rejected), "{rejected}");
    let (status, retry_after, response) = execute_from(&app, "192.0.2.1", "{ __typename }").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{response:#}");
    assert!(retry_after.is_some_and(|seconds| seconds <= 60));
    // A signed-in user has a limit of its own in every network.
    let request = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", john.token.as_ref().unwrap()))
        .extension(Peer::from("192.0.2.1".parse::<IpAddr>().unwrap()));
    let (status, ..) =
        app.send(request.body(Body::from("{\"query\": \"{ __typename }\"}")).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn rate_limit_is_null_without_limits() {
    let app = TestApp::new().await;
    assert_eq!(app.anonymous().query(RATE_LIMIT).await, json!({ "rateLimit": null }));
}

/// Some of these costs exceed 64 bits. A cost that wrapped around would be small.
#[tokio::test]
async fn the_cost_of_a_huge_query_saturates_and_is_rejected() {
    let app = TestApp::with(&["--rate-limit-per-network", "1000000"]).await;
    let john = app.register("john").await;
    for (lists, bodies, levels) in [(6, 368, 7), (5, 400, 6), (7, 300, 8), (6, 369, 7)] {
        let mut selection =
            format!("posts(first: 100) {{ nodes {{ {} }} }}", "body ".repeat(bodies));
        for level in 0..lists {
            let ids = "id ".repeat(20 * level % levels);
            selection = format!("followers(first: 100) {{ nodes {{ {ids} {selection} }} }}");
        }
        let document = format!(
            "query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on User {{ {selection} }} }} rateLimit {{ cost }} }}"
        );
        let response =
            app.anonymous().execute(&document, json!({ "ids": vec![john.id.as_str(); 100] })).await;
        assert_eq!(
            response["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX",
            "{response:#}"
        );
    }
}

#[tokio::test]
async fn unreadable_bodies_are_charged_and_not_read_over_the_limit() {
    let app = TestApp::with(&["--rate-limit-per-network", "1000"]).await;
    let send = async |body: Body| {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        app.send(request.body(body).unwrap()).await.0
    };
    let cut_off = || {
        let parts = [Ok(Vec::from("{\"query\"")), Err(io::Error::other("cut off"))];
        Body::from_stream(stream::iter(parts))
    };
    assert_eq!(send(cut_off()).await, StatusCode::BAD_REQUEST);
    let mut rejected = 1;
    while send(Body::from("[".repeat(1_000))).await == StatusCode::BAD_REQUEST {
        rejected += 1;
        assert!(rejected < 30, "they are not charged");
    }
    // This body never arrives, and the service does not wait for it.
    let endless = Body::from_stream(stream::pending::<Result<Vec<u8>, io::Error>>());
    assert_eq!(send(endless).await, StatusCode::TOO_MANY_REQUESTS);
}

fn metrics(app: &TestApp) -> String {
    app.app.metrics.scrape()
}

#[tokio::test]
async fn metrics_count_user_errors_errors_and_operations_that_timed_out() {
    let app =
        TestApp::with(&["--request-timeout", "1", "--database-max-read-connections", "1"]).await;
    let john = app.register("john").await;
    let wrong = "login(input: {username: \"john\", password: \"wrong\"}) { userErrors { code } }";
    john.mutate(wrong).await;
    // This snapshot holds the only read connection.
    let snapshot = Snapshot::new(app.database());
    let transaction = snapshot.transaction().await.unwrap();
    let (status, ..) = execute_from(&app, "192.0.2.1", "{ users { totalCount } }").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    drop((transaction, snapshot));
    let metrics = metrics(&app);
    for line in [
        "rookery_user_errors_total{code=\"INVALID_CREDENTIALS\"} 1",
        "rookery_errors_total{code=\"TIMEOUT\"} 1",
        "rookery_operation_duration_seconds_count{operation=\"users\",type=\"query\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// Labels come from the schema, so that clients cannot create time series.
#[tokio::test]
async fn names_of_clients_do_not_become_metric_labels() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for n in 0..20 {
        app.anonymous().execute(&format!("query made_up_{n} {{ unknown_{n} }}"), json!({})).await;
        john.subscription_error(&format!("subscription made_up_{n} {{ unknown_{n} }}"), json!({}))
            .await;
        john.query(&format!("query made_up_{n} {{ alias_{n}: users {{ totalCount }} }}")).await;
    }
    let metrics = metrics(&app);
    assert!(metrics.contains("operation=\"users\""), "{metrics}");
    for made_up in ["made_up", "unknown", "alias"] {
        assert!(!metrics.contains(made_up), "{metrics}");
    }
}

#[tokio::test]
async fn only_the_executed_operation_of_a_document_is_charged() {
    let app = TestApp::with(&["--rate-limit-per-network", "100000"]).await;
    let expensive = "query b { users(first: 100) { nodes { followers(first: 100) { nodes { id username } } } } }";
    let document = format!(
        "query a {{ rateLimit {{ cost }} }} {expensive} {}",
        expensive.replace(" b ", " c ")
    );
    let body = json!({ "query": document, "operationName": "a" });
    let response = app.post(None, &body).await;
    assert_eq!(response["data"]["rateLimit"]["cost"], 2, "{response:#}");
    let body = json!({ "query": document, "operationName": "b" });
    assert!(app.post(None, &body).await["data"]["users"].is_object());
}

/// A query that costs more than the limit is charged the whole limit.
///
/// The client can repeat it after at most 60 seconds.
#[tokio::test]
async fn a_query_that_costs_more_than_the_limit_passes_with_a_full_limit() {
    let app = TestApp::with(&["--rate-limit-per-network", "100"]).await;
    let expensive = "{ users(first: 100) { nodes { id username } } }";
    assert_eq!(execute_from(&app, "192.0.2.1", expensive).await.0, StatusCode::OK);
    let (status, retry_after, _) = execute_from(&app, "192.0.2.1", expensive).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(retry_after.is_some_and(|seconds| seconds <= 60));
}

/// Whether a document fails to parse or to validate, alone or in a batch.
#[tokio::test]
async fn rejected_documents_are_charged_to_the_signed_in_user() {
    let app = TestApp::with(&[
        "--rate-limit-per-user",
        "3000",
        "--rate-limit-per-network",
        "3000",
        "--max-batch",
        "5",
    ])
    .await;
    let padding = "x".repeat(8_000);
    let invalid = [
        json!({ "query": format!("{{ wrong {padding}") }),
        json!({ "query": format!("{{ unknown(a: \"{padding}\") }}") }),
        json!([{ "query": format!("{{ unknown(a: \"{padding}\") }}") }]),
    ];
    for (n, body) in invalid.iter().enumerate() {
        let user = app.register(&format!("user{n}")).await;
        let mut count = 0;
        loop {
            let response = app.post(user.token.as_deref(), body).await;
            let response = response.get(0).unwrap_or(&response);
            if response["errors"][0]["extensions"]["code"] == "RATE_LIMITED" {
                break;
            }
            count += 1;
            assert!(count < 30, "{body} is not charged");
        }
        // The network is charged for the registrations only.
        assert_ne!(
            execute_from(&app, "0.0.0.0", "{ __typename }").await.0,
            StatusCode::TOO_MANY_REQUESTS
        );
    }
}
