//! Limits of response size, concurrency, connections and streams, and timeouts.
//!
//! The timeouts disconnect slow clients. Rate limits by query cost are tested in `rates`, the
//! credential throttle in `attempts`.

mod attempts;
mod rates;
mod reads;
mod work;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use rookery::database::Snapshot;
use rookery::http::Peer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// Executes a document as a client at `address`.
///
/// Returns the status, the seconds of `Retry-After`, and the response.
async fn execute_from(
    app: &TestApp,
    address: &str,
    document: &str,
) -> (StatusCode, Option<u64>, Value) {
    let peer = Peer::from(address.parse::<IpAddr>().unwrap());
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let body = Body::from(json!({ "query": document }).to_string());
    let (status, headers, body) = app.send(request.extension(peer).body(body).unwrap()).await;
    let retry_after = headers.get(header::RETRY_AFTER);
    let retry_after = retry_after.map(|value| value.to_str().unwrap().parse().unwrap());
    (status, retry_after, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_response_with_more_text_than_the_limit_is_rejected() {
    let app = TestApp::with(&["--max-response-text-bytes", "2000"]).await;
    let john = app.register("john").await;
    for _ in 0..4 {
        john.write(&"é".repeat(250)).await;
    }
    let posts = |first| format!("{{ posts(first: {first}) {{ nodes {{ body }} }} }}");
    let response = john.query(&posts(4)).await;
    assert_eq!(response["posts"]["nodes"].as_array().unwrap().len(), 4);
    john.write("a fifth post").await;
    assert_eq!(john.error(&posts(5)).await, "QUERY_TOO_COMPLEX");
    let twice = format!("{{ a: posts(first: 3) {{ nodes {{ body }} }} {}", &posts(3)[2..]);
    assert_eq!(john.error(&twice).await, "QUERY_TOO_COMPLEX");
    let response = john.execute(&posts(5).replace("body", "a: body b: body"), json!({})).await;
    let errors = response["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "the errors of further texts are not collected: {response}");
}

#[tokio::test]
async fn the_only_operation_is_priced_with_and_without_its_name() {
    let app = TestApp::with(&["--max-complexity", "50"]).await;
    let page = |first| format!("{{ users(first: {first}) {{ nodes {{ id }} }} }}");
    let (small, large) = ("{ viewer { email } }", page(100));
    let send = async |document: String, name: Option<&str>| {
        let body = json!({ "query": document, "operationName": name });
        app.post(None, &body).await["errors"][0]["extensions"]["code"].clone()
    };
    for (document, name) in [
        (large.clone(), None),
        (format!("query a {large}"), None),
        (format!("query a {large}"), Some("a")),
        (format!("query a {large} query b {small}"), Some("a")),
    ] {
        let code = send(document.clone(), name).await;
        assert_eq!(code, "QUERY_TOO_COMPLEX", "{name:?} of {document}");
    }
    let both = format!("query a {large} query b {small}");
    assert_eq!(send(both, Some("b")).await, Value::Null);
}

#[tokio::test]
async fn a_mutation_whose_response_text_exceeds_the_limit_is_made_with_unknown_outcome() {
    let app = TestApp::with(&["--max-response-text-bytes", "100"]).await;
    let john = app.register("john").await;
    let body = "x".repeat(200);
    let post =
        format!("mutation {{ createPost(input: {{body: \"{body}\"}}) {{ post {{ id body }} }} }}");
    assert_eq!(john.error(&post).await, "OUTCOME_UNKNOWN");
    let posts = john.query("{ posts { totalCount } }").await;
    assert_eq!(posts["posts"]["totalCount"], 1);
}

/// The response to a slow client stays in memory until it is sent.
#[tokio::test]
async fn unread_responses_hold_response_memory_of_which_a_network_gets_half() {
    let app = TestApp::with(&["--response-memory-bytes", "524288"]).await;
    let john = app.register("john").await;
    for _ in 0..30 {
        john.write(&"x".repeat(5_000)).await;
    }
    let send = |accept: &str| {
        let body = json!({ "query": "{ posts(first: 20) { nodes { body } } }" }).to_string();
        let post = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        let request = post.header(header::ACCEPT, accept).body(Body::from(body)).unwrap();
        app.app.router.clone().oneshot(request)
    };
    for accept in ["application/json", "text/event-stream"] {
        let unread = [send(accept).await.unwrap(), send(accept).await.unwrap()];
        assert!(unread.iter().all(|response| response.status() == StatusCode::OK));
        let (status, retry_after, response) =
            execute_from(&app, "0.0.0.0", "{ posts(first: 20) { nodes { body } } }").await;
        assert_eq!((status, retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)), "{accept}");
        assert_eq!(response["errors"][0]["extensions"]["code"], "UNAVAILABLE");
        john.query("{ posts(first: 2) { nodes { body } } }").await;
        let (status, ..) =
            execute_from(&app, "192.0.2.1", "{ posts(first: 20) { nodes { body } } }").await;
        assert_eq!(status, StatusCode::OK, "another network has its own half");
        drop(unread);
        let (status, ..) =
            execute_from(&app, "0.0.0.0", "{ posts(first: 20) { nodes { body } } }").await;
        assert_eq!(status, StatusCode::OK);
    }
}

/// A response consists of few values and long aliases, whose bytes count too.
#[tokio::test]
async fn response_memory_counts_the_bytes_of_aliases() {
    let app = TestApp::with(&["--response-memory-bytes", "300000"]).await;
    let john = app.register("john").await;
    for n in 0..100 {
        john.write(&format!("{n}")).await;
    }
    let aliases = (0..10).map(|n| format!("{}{n}: id", "a".repeat(100)));
    let aliases = aliases.collect::<Vec<_>>().join(" ");
    let (status, ..) =
        execute_from(&app, "192.0.2.1", "{ posts(first: 100) { nodes { id } } }").await;
    assert_eq!(status, StatusCode::OK);
    let long = format!("{{ posts(first: 100) {{ nodes {{ {aliases} }} }} }}");
    let unread = {
        let body = json!({ "query": long }).to_string();
        let post = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        app.app.router.clone().oneshot(post.body(Body::from(body)).unwrap()).await.unwrap()
    };
    assert_eq!(unread.status(), StatusCode::OK);
    let (status, retry_after, response) = execute_from(&app, "0.0.0.0", &long).await;
    assert_eq!(
        (status, retry_after),
        (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
        "{response:.200}"
    );
    // The response to a mutation is sent although no memory is left.
    let post = format!(
        "mutation {{ createPost(input: {{body: \"kept\"}}) {{ post {{ id author {{ posts(first: 100) {{ nodes {{ {aliases} }} }} }} }} }} }}"
    );
    let response = john.execute(&post, json!({})).await;
    assert!(response.get("errors").is_none() && response["data"]["createPost"]["post"].is_object());
}

#[tokio::test]
async fn requests_over_the_concurrency_limit_are_rejected() {
    let app =
        TestApp::with(&["--max-concurrent-requests", "2", "--database-max-read-connections", "1"])
            .await;
    // This snapshot holds the only read connection, so that queries wait for it.
    let snapshot = Snapshot::new(app.database());
    let transaction = snapshot.transaction().await.unwrap();
    let start_query = |app: TestApp| {
        tokio::spawn(
            async move { execute_from(&app, "192.0.2.1", "{ users { totalCount } }").await.0 },
        )
    };
    let waiting = [start_query(app.clone()), start_query(app.clone())];
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    let (status, retry_after, response) = execute_from(&app, "192.0.2.1", "{ __typename }").await;
    assert_eq!((status, retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    assert_eq!(response["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "the request does not wait for the running ones"
    );
    drop((transaction, snapshot));
    for query in waiting {
        assert_eq!(query.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(execute_from(&app, "192.0.2.1", "{ __typename }").await.0, StatusCode::OK);
}

/// A network that sends many requests delays its own.
#[tokio::test]
async fn the_next_read_connection_goes_to_the_network_that_holds_the_fewest() {
    let app = TestApp::with(&["--database-max-read-connections", "1"]).await;
    app.register("john").await;
    let query = "{ users { totalCount nodes { followers { nodes { username } } } } }";
    let done = Arc::new(AtomicUsize::new(0));
    let many: Vec<_> = (0..100)
        .map(|_| {
            let (app, done) = (app.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let (status, ..) = execute_from(&app, "192.0.2.1", query).await;
                done.fetch_add(1, Ordering::Relaxed);
                status
            })
        })
        .collect();
    while done.load(Ordering::Relaxed) < 10 {
        tokio::task::yield_now().await;
    }
    let before = done.load(Ordering::Relaxed);
    let (status, ..) = execute_from(&app, "192.0.2.2", query).await;
    let overtaken_by = done.load(Ordering::Relaxed) - before;
    assert_eq!(status, StatusCode::OK);
    assert!(overtaken_by <= 8, "{overtaken_by} of 90 requests were executed before it");
    for request in many {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
}

/// A slow client is disconnected, and the next one gets the only connection.
#[tokio::test]
async fn slow_clients_lose_their_connection_after_the_timeouts() {
    let options = ["--request-timeout", "1", "--read-timeout", "1", "--write-timeout", "1"];
    let app = TestApp::with(&options).await;
    let john = app.register("john").await;
    for n in 0..100 {
        john.write(&format!("{n}{}", "x".repeat(4_900))).await;
    }
    let server_options = [&options[..], &["--max-connections", "1"]].concat();
    let address = app.serve(&server_options).await;
    let large = "{\"query\": \"{ posts(first: 100) { nodes { body } } }\"}";
    let request = |body: &str, length: usize| {
        format!(
            "POST /graphql HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
            Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let large_request = request(large, large.len());
    let typename = "{\"query\": \"{ __typename }\"}";
    for (case, sent) in [
        ("nothing", String::new()),
        ("a slow head", "POST /graphql HTTP/1.1\r\nHost: te".to_owned()),
        ("a slow body", request("{\"query\"", 100)),
        ("an idle connection", request(typename, typename.len())),
        ("responses that are not read", large_request.repeat(100)),
    ] {
        let mut slow = TcpStream::connect(&address).await.unwrap();
        let sent = timeout(Duration::from_secs(5), slow.write_all(sent.as_bytes())).await;
        assert!(sent.is_ok(), "{case} could not be sent");
        let mut next = TcpStream::connect(&address).await.unwrap();
        let request = request(typename, typename.len());
        next.write_all(request.as_bytes()).await.unwrap();
        let mut status_line = [0; 12];
        let read = timeout(Duration::from_secs(8), next.read_exact(&mut status_line)).await;
        assert!(read.is_ok(), "{case} keeps the connection");
        assert_eq!(&status_line, b"HTTP/1.1 200");
        if case == "a slow body" {
            slow.read_exact(&mut status_line).await.unwrap();
            assert_eq!(&status_line, b"HTTP/1.1 408");
        }
        drop((slow, next));
    }
}

/// `live/socket.rs` tests the limit per user.
#[tokio::test]
async fn streams_over_a_limit_are_rejected() {
    for limit in
        ["--max-anonymous-streams-per-network", "--max-streams-per-network", "--max-streams"]
    {
        check_stream_limit(limit).await;
    }
}

/// Opens two anonymous streams, and fails to open a third.
async fn check_stream_limit(limit: &str) {
    let app = TestApp::with(&[limit, "2"]).await;
    let john: Actor<'_> = app.register("john").await;
    let document =
        format!("subscription {{ followCounts(userId: \"{}\") {{ followersCount }} }}", john.id);
    let anonymous = app.anonymous();
    let open = [
        anonymous.subscribe_and_join(&document, json!({})).await,
        anonymous.subscribe_and_join(&document, json!({})).await,
    ];
    let (_, _, rejected) = app
        .send(
            Request::post("/graphql")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, "text/event-stream")
                .body(Body::from(json!({ "query": document }).to_string()))
                .unwrap(),
        )
        .await;
    assert!(rejected.contains("TOO_MANY_OPERATIONS"), "{limit}: {rejected}");
    drop(open);
    tokio::time::sleep(Duration::from_millis(50)).await;
    anonymous.subscribe_and_join(&document, json!({})).await;
}

#[tokio::test]
async fn the_text_limit_applies_to_each_event_of_a_stream() {
    let app = TestApp::with(&["--max-response-text-bytes", "1000"]).await;
    let john = app.register("john").await;
    let mut events = john
        .subscribe_and_join("subscription { timelineEvents { ... on TimelinePostAdded { edge { node { body } } } } }", json!({}))
        .await;
    for n in 0..8 {
        john.write(&format!("{n}{}", "x".repeat(299))).await;
        let response = events.response().await.unwrap();
        assert!(response.get("errors").is_none(), "{n}: {response}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_of_a_network_are_closed_but_not_those_of_a_proxy() {
    let app = TestApp::new().await;
    let connect = async |address: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut status_line = [0; 12];
        let read = timeout(Duration::from_secs(2), stream.read_exact(&mut status_line)).await;
        read.unwrap().is_ok().then_some(stream)
    };
    let limit = ["--max-connections-per-network", "2"];
    let address = app.serve(&limit).await;
    let (first, second) = (connect(&address).await, connect(&address).await);
    assert!(first.is_some() && second.is_some());
    assert!(connect(&address).await.is_none(), "a third connection is closed");
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(connect(&address).await.is_some());
    // Connections of a trusted proxy carry the requests of many clients.
    let address = app.serve(&[&limit[..], &["--trusted-proxies", "127.0.0.0/8"]].concat()).await;
    let all = [connect(&address).await, connect(&address).await, connect(&address).await];
    assert!(all.iter().all(Option::is_some));
}

#[tokio::test]
async fn a_websocket_counts_as_a_connection_until_it_closes() {
    let app = TestApp::new().await;
    let address = app.serve(&["--max-connections", "2"]).await;
    let open = async || {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let upgrade = "GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
            Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        let mut status_line = [0; 12];
        let read = timeout(Duration::from_millis(500), stream.read_exact(&mut status_line)).await;
        read.is_ok().then_some(stream)
    };
    let (first, second) = (open().await, open().await);
    assert!(first.is_some() && second.is_some());
    assert!(open().await.is_none(), "a third connection waits");
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(open().await.is_some());
}
