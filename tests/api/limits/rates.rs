//! What everybody may ask for in a minute, and what it costs.

use std::io;
use std::net::IpAddr;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures_util::stream;
use http_body_util::BodyExt as _;
use rookery::database::Snapshot;
use rookery::http::Peer;
use serde_json::json;

use super::from;
use crate::app::TestApp;

const RATE: &str = "{ rateLimit { cost limit used remaining resetAt } }";

#[tokio::test]
async fn what_is_asked_for_is_counted() {
    let app = TestApp::with(&["--rate-user", "2000", "--rate-network", "500"]).await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let rate = john.query(RATE).await["rateLimit"].take();
    assert_eq!((&rate["cost"], &rate["limit"]), (&json!(6), &json!(2000)));
    assert_eq!((&rate["used"], &rate["remaining"]), (&json!(6), &json!(1994)));
    assert!(rate["resetAt"].is_string());

    // Page sizes multiply: a hundred posts for four, each a node with a text, and a name for two.
    let timeline = "{ viewer { user { timeline(first: 100) { nodes { body author { username } } } } } \
        rateLimit { cost remaining } }";
    let dear = john.query(timeline).await["rateLimit"].take();
    assert_eq!(dear["cost"], 2 + 1 + 100 * (4 + 1 + 1 + 2) + 3);
    assert!(dear["remaining"].as_i64().unwrap() <= 2000 - 6 - 806 + 100);
    john.query(timeline).await;
    let body = json!({ "query": timeline });
    let (status, headers, answer) =
        app.post_with(john.token.as_deref(), &HeaderMap::new(), &body).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer:#}");
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    let seconds = extensions["retryAfterSeconds"].as_u64().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(headers[header::RETRY_AFTER], seconds.to_string());

    // Neither somebody else nor nobody is concerned, nor is what costs little.
    susan.query(timeline).await;
    john.query("{ __typename }").await;
    for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        let (status, _, answer) = from(&app, address, RATE).await;
        assert_eq!((status, &answer["data"]["rateLimit"]["limit"]), (StatusCode::OK, &json!(500)));
    }
    assert_eq!(
        from(&app, "2001:db8::2", RATE).await.2["data"]["rateLimit"]["used"],
        12,
        "one network"
    );
}

/// What is refused costs too, and who has used everything up is not read any more.
#[tokio::test]
async fn refusals_are_counted() {
    let app = TestApp::with(&["--rate-network", "1000"]).await;
    let john = app.join("john").await;
    let mut refused = 0;
    while from(&app, "192.0.2.1", "{ wrong").await.0 != StatusCode::TOO_MANY_REQUESTS {
        refused += 1;
    }
    assert!((9..=20).contains(&refused), "{refused}");
    let (status, after, answer) = from(&app, "192.0.2.1", "{ __typename }").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer:#}");
    assert!(after.is_some_and(|seconds| seconds <= 60));
    // Who is signed in has a quota of their own, wherever they are.
    let mine = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", john.token.as_ref().unwrap()))
        .extension(Peer::from("192.0.2.1".parse::<IpAddr>().unwrap()));
    let (status, ..) =
        app.send(mine.body(Body::from("{\"query\": \"{ __typename }\"}")).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn without_rates_there_is_nothing_to_show() {
    let app = TestApp::new().await;
    assert_eq!(app.anonymous().query(RATE).await, json!({ "rateLimit": null }));
}

/// Whatever its size, a price is more than anybody may ask for, and never less for being more.
#[tokio::test]
async fn a_price_does_not_run_over() {
    let app = TestApp::with(&["--rate-network", "1000000"]).await;
    let john = app.join("john").await;
    for (lists, bodies, levels) in [(6, 368, 7), (5, 400, 6), (7, 300, 8), (6, 369, 7)] {
        let mut inside = format!("posts(first: 100) {{ nodes {{ {} }} }}", "body ".repeat(bodies));
        for level in 0..lists {
            let ids = "id ".repeat(20 * level % levels);
            inside = format!("followers(first: 100) {{ nodes {{ {ids} {inside} }} }}");
        }
        let ask = format!(
            "query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on User {{ {inside} }} }} rateLimit {{ cost }} }}"
        );
        let answer = app.anonymous().ask(&ask, json!({ "ids": vec![john.id.as_str(); 100] })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{answer:#}");
    }
}

/// Neither is it read what somebody sends who has used up their share, nor is it for nothing what cannot be read.
#[tokio::test]
async fn bodies_that_cannot_be_read_are_counted() {
    let app = TestApp::with(&["--rate-network", "1000"]).await;
    let send = async |body: Body| {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        app.send(request.body(body).unwrap()).await.0
    };
    let cut_off = || {
        let parts = [Ok(Vec::from("{\"query\"")), Err(io::Error::other("cut off"))];
        Body::from_stream(stream::iter(parts))
    };
    assert_eq!(send(cut_off()).await, StatusCode::BAD_REQUEST);
    let mut refused = 1;
    while send(Body::from("[".repeat(1_000))).await == StatusCode::BAD_REQUEST {
        refused += 1;
        assert!(refused < 30, "they are for nothing");
    }
    // It never comes, and nobody waits for it.
    let never = Body::from_stream(stream::pending::<Result<Vec<u8>, io::Error>>());
    assert_eq!(send(never).await, StatusCode::TOO_MANY_REQUESTS);
}

async fn metrics(app: &TestApp) -> String {
    let metrics = app.app.metrics.answer().into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&metrics).into_owned()
}

/// An operation that was given up is there too, and so are failures that are no errors.
#[tokio::test]
async fn what_goes_wrong_is_measured() {
    let app = TestApp::with(&["--request-timeout", "1", "--database-readers", "1"]).await;
    let john = app.join("john").await;
    let wrong = "login(input: {username: \"john\", password: \"wrong\"}) { userErrors { code } }";
    john.mutate(wrong).await;
    let taken = Snapshot::new(app.database());
    let open = taken.get().await.unwrap();
    let (status, ..) = from(&app, "192.0.2.1", "{ users { totalCount } }").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    drop((open, taken));
    let metrics = metrics(&app).await;
    for line in [
        "rookery_user_errors_total{code=\"INVALID_CREDENTIALS\"} 1",
        "rookery_errors_total{code=\"TIMEOUT\"} 1",
        "rookery_operation_seconds_count{operation=\"users\",type=\"query\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// Names that clients make up are no labels; what did not run has none.
#[tokio::test]
async fn metrics_are_few_whatever_is_asked() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    for n in 0..20 {
        app.anonymous().ask(&format!("query made_up_{n} {{ unknown_{n} }}"), json!({})).await;
        john.refused(&format!("subscription made_up_{n} {{ unknown_{n} }}"), json!({})).await;
        john.query(&format!("query made_up_{n} {{ alias_{n}: users {{ totalCount }} }}")).await;
    }
    let metrics = metrics(&app).await;
    assert!(metrics.contains("operation=\"users\""), "{metrics}");
    for made_up in ["made_up", "unknown", "alias"] {
        assert!(!metrics.contains(made_up), "{metrics}");
    }
}

/// A document of several operations costs what the one costs that runs.
#[tokio::test]
async fn others_in_the_document_cost_nothing() {
    let app = TestApp::with(&["--rate-network", "100000"]).await;
    let dear = "query b { users(first: 100) { nodes { followers(first: 100) { nodes { id username } } } } }";
    let document =
        format!("query a {{ rateLimit {{ cost }} }} {dear} {}", dear.replace(" b ", " c "));
    let body = json!({ "query": document, "operationName": "a" });
    let answer = app.post(None, &body).await;
    assert_eq!(answer["data"]["rateLimit"]["cost"], 2, "{answer:#}");
    let all = json!({ "query": document, "operationName": "b" });
    assert!(app.post(None, &all).await["data"]["users"].is_object());
}

/// However little is allowed in a minute, what is allowed at all can be had when a minute has gone by.
#[tokio::test]
async fn what_costs_more_than_a_minute_gives_is_not_refused_for_ever() {
    let app = TestApp::with(&["--rate-network", "100"]).await;
    let dear = "{ users(first: 100) { nodes { id username } } }";
    assert_eq!(from(&app, "192.0.2.1", dear).await.0, StatusCode::OK);
    let (status, after, _) = from(&app, "192.0.2.1", dear).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(after.is_some_and(|seconds| seconds <= 60));
}

/// The sender is charged for what is refused, wherever it is refused: read or not, valid or not, alone or in a batch.
#[tokio::test]
async fn whoever_sends_what_is_refused_pays_for_it() {
    let app =
        TestApp::with(&["--rate-user", "3000", "--rate-network", "3000", "--max-batch", "5"]).await;
    let padding = "x".repeat(8_000);
    let refused = [
        json!({ "query": format!("{{ wrong {padding}") }),
        json!({ "query": format!("{{ unknown(a: \"{padding}\") }}") }),
        json!([{ "query": format!("{{ unknown(a: \"{padding}\") }}") }]),
    ];
    for (n, body) in refused.iter().enumerate() {
        let user = app.join(&format!("user{n}")).await;
        let mut count = 0;
        loop {
            let answer = app.post(user.token.as_deref(), body).await;
            let answer = answer.get(0).unwrap_or(&answer);
            if answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED" {
                break;
            }
            count += 1;
            assert!(count < 30, "{body} is for nothing");
        }
        // Of the network nothing was taken but for registering.
        assert_ne!(from(&app, "0.0.0.0", "{ __typename }").await.0, StatusCode::TOO_MANY_REQUESTS);
    }
}
