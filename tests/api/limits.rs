//! Limits on what everybody may do together and alone: room, and clocks on slow clients. What a minute gives is in `rates`,
//! guesses at passwords in `attempts`.

mod attempts;
mod rates;

use std::net::IpAddr;
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

use crate::app::TestApp;
use crate::cast::Actor;

/// As a connection from an address brings it.
async fn from(app: &TestApp, address: &str, document: &str) -> (StatusCode, Option<u64>, Value) {
    let peer = Peer::from(address.parse::<IpAddr>().unwrap());
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let body = Body::from(json!({ "query": document }).to_string());
    let (status, headers, body) = app.send(request.extension(peer).body(body).unwrap()).await;
    let after = headers.get(header::RETRY_AFTER);
    let after = after.map(|value| value.to_str().unwrap().parse().unwrap());
    (status, after, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn an_answer_has_so_much_text_and_no_more() {
    let app = TestApp::with(&["--max-answer", "2000"]).await;
    let john = app.join("john").await;
    for _ in 0..4 {
        john.write(&"é".repeat(250)).await;
    }
    let posts = |first| format!("{{ posts(first: {first}) {{ nodes {{ body }} }} }}");
    let answer = john.query(&posts(4)).await;
    assert_eq!(answer["posts"]["nodes"].as_array().unwrap().len(), 4);
    john.write("one more").await;
    assert_eq!(john.error(&posts(5)).await, "QUERY_TOO_COMPLEX");
    let twice = format!("{{ a: posts(first: 3) {{ nodes {{ body }} }} {}", &posts(3)[2..]);
    assert_eq!(john.error(&twice).await, "QUERY_TOO_COMPLEX");
}

/// The verb is done by then.
#[tokio::test]
async fn what_was_done_and_is_too_long_to_tell_is_not_refused() {
    let app = TestApp::with(&["--max-answer", "100"]).await;
    let john = app.join("john").await;
    let body = "x".repeat(200);
    let post =
        format!("mutation {{ createPost(input: {{body: \"{body}\"}}) {{ post {{ id body }} }} }}");
    assert_eq!(john.error(&post).await, "OUTCOME_UNKNOWN");
    let posts = john.query("{ posts { totalCount } }").await;
    assert_eq!(posts["posts"]["totalCount"], 1);
}

/// Somebody who does not read an answer keeps it in memory: that there is room for so much, and no more.
#[tokio::test]
async fn answers_that_are_not_read_have_so_much_text_together() {
    let app = TestApp::with(&["--max-answers", "262144"]).await;
    let john = app.join("john").await;
    for _ in 0..30 {
        john.write(&"x".repeat(5_000)).await;
    }
    let ask = |accept: &str| {
        let body = json!({ "query": "{ posts(first: 20) { nodes { body } } }" }).to_string();
        let post = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        let request = post.header(header::ACCEPT, accept).body(Body::from(body)).unwrap();
        app.app.router.clone().oneshot(request)
    };
    for accept in ["application/json", "text/event-stream"] {
        let unread = [ask(accept).await.unwrap(), ask(accept).await.unwrap()];
        assert!(unread.iter().all(|answer| answer.status() == StatusCode::OK));
        let (status, after, answer) =
            from(&app, "0.0.0.0", "{ posts(first: 20) { nodes { body } } }").await;
        assert_eq!((status, after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)), "{accept}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE");
        john.query("{ posts(first: 2) { nodes { body } } }").await;
        let (status, ..) = from(&app, "192.0.2.1", "{ posts(first: 20) { nodes { body } } }").await;
        assert_eq!(status, StatusCode::OK, "one network does not take it all");
        drop(unread);
        let (status, ..) = from(&app, "0.0.0.0", "{ posts(first: 20) { nodes { body } } }").await;
        assert_eq!(status, StatusCode::OK);
    }
}

/// Names that a client makes up are bytes as any others.
#[tokio::test]
async fn an_answer_is_as_long_as_it_is() {
    let app = TestApp::with(&["--max-answers", "65536"]).await;
    let john = app.join("john").await;
    for n in 0..100 {
        john.write(&format!("{n}")).await;
    }
    let aliases = (0..10).map(|n| format!("{}{n}: id", "a".repeat(100)));
    let aliases = aliases.collect::<Vec<_>>().join(" ");
    let (status, ..) = from(&app, "192.0.2.1", "{ posts(first: 100) { nodes { id } } }").await;
    assert_eq!(status, StatusCode::OK);
    let long = format!("{{ posts(first: 100) {{ nodes {{ {aliases} }} }} }}");
    let unread = {
        let body = json!({ "query": long }).to_string();
        let post = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        app.app.router.clone().oneshot(post.body(Body::from(body)).unwrap()).await.unwrap()
    };
    assert_eq!(unread.status(), StatusCode::OK);
    let (status, after, answer) = from(&app, "0.0.0.0", &long).await;
    assert_eq!((status, after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)), "{answer:.200}");
    // What is done is told, though there is no room.
    let post = format!(
        "mutation {{ createPost(input: {{body: \"kept\"}}) {{ post {{ id author {{ posts(first: 100) {{ nodes {{ {aliases} }} }} }} }} }} }}"
    );
    let answer = john.ask(&post, json!({})).await;
    assert!(answer.get("errors").is_none() && answer["data"]["createPost"]["post"].is_object());
}

#[tokio::test]
async fn who_finds_no_room_is_told_at_once() {
    let app = TestApp::with(&["--max-requests", "4", "--database-readers", "1"]).await;
    // The only connection for reading is taken: whoever reads waits for it.
    let taken = Snapshot::new(app.database());
    let open = taken.get().await.unwrap();
    let waiting = |app: TestApp| {
        tokio::spawn(async move { from(&app, "192.0.2.1", "{ users { totalCount } }").await.0 })
    };
    let first = [waiting(app.clone()), waiting(app.clone())];
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    let (status, after, answer) = from(&app, "192.0.2.1", "{ __typename }").await;
    assert_eq!((status, after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(start.elapsed() < Duration::from_secs(2), "it does not wait for the others");
    let (status, ..) = from(&app, "192.0.2.2", "{ __typename }").await;
    assert_eq!(status, StatusCode::OK, "one network does not take all the room");
    drop((open, taken));
    for one in first {
        assert_eq!(one.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(from(&app, "192.0.2.1", "{ __typename }").await.0, StatusCode::OK);
}

/// Whoever takes too long loses the one connection that there is, and the next is served.
#[tokio::test]
async fn slow_clients_keep_no_connection() {
    let options = ["--request-timeout", "1", "--header-timeout", "1", "--write-timeout", "1"];
    let app = TestApp::with(&options).await;
    let john = app.join("john").await;
    for n in 0..100 {
        john.write(&format!("{n}{}", "x".repeat(4_900))).await;
    }
    let one = [&options[..], &["--max-connections", "1"]].concat();
    let address = app.serve(&one).await;
    let large = "{\"query\": \"{ posts(first: 100) { nodes { body } } }\"}";
    let head = |body: &str, length: usize| {
        format!(
            "POST /graphql HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
            Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let whole = head(large, large.len());
    let typename = "{\"query\": \"{ __typename }\"}";
    for (what, sent) in [
        ("nothing", String::new()),
        ("a slow head", "POST /graphql HTTP/1.1\r\nHost: te".to_owned()),
        ("a slow body", head("{\"query\"", 100)),
        ("an idle connection", head(typename, typename.len())),
        ("answers that are not read", whole.repeat(100)),
    ] {
        let mut slow = TcpStream::connect(&address).await.unwrap();
        let sent = timeout(Duration::from_secs(5), slow.write_all(sent.as_bytes())).await;
        assert!(sent.is_ok(), "{what} could not be sent");
        let mut next = TcpStream::connect(&address).await.unwrap();
        let ask = head(typename, typename.len());
        next.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let answered = timeout(Duration::from_secs(8), next.read_exact(&mut answer)).await;
        assert!(answered.is_ok(), "{what} keeps the connection");
        assert_eq!(&answer, b"HTTP/1.1 200");
        if what == "a slow body" {
            slow.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 408");
        }
        drop((slow, next));
    }
}

/// Of one user's sockets it is tested with the sockets themselves.
#[tokio::test]
async fn streams_of_nobody_in_particular_are_counted_by_network() {
    let app = TestApp::with(&["--max-network-sockets", "2"]).await;
    let john: Actor<'_> = app.join("john").await;
    let watch =
        format!("subscription {{ followCounts(userId: \"{}\") {{ followersCount }} }}", john.id);
    let nobody = app.anonymous();
    let open = [nobody.watch(&watch, json!({})).await, nobody.watch(&watch, json!({})).await];
    let refused = app
        .send(
            Request::post("/graphql")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, "text/event-stream")
                .body(Body::from(json!({ "query": watch }).to_string()))
                .unwrap(),
        )
        .await;
    assert!(refused.2.contains("TOO_MANY_OPERATIONS"), "{}", refused.2);
    drop(open);
    tokio::time::sleep(Duration::from_millis(50)).await;
    nobody.watch(&watch, json!({})).await;
}

#[tokio::test]
async fn each_event_is_an_answer_of_its_own() {
    let app = TestApp::with(&["--max-answer", "1000"]).await;
    let john = app.join("john").await;
    let mut news = john
        .watch("subscription { timelineEvents { ... on TimelinePostAdded { edge { node { body } } } } }", json!({}))
        .await;
    for n in 0..8 {
        john.write(&format!("{n}{}", "x".repeat(299))).await;
        let answer = news.answer().await.unwrap();
        assert!(answer.get("errors").is_none(), "{n}: {answer}");
    }
}

#[tokio::test]
async fn a_network_has_so_many_connections() {
    let app = TestApp::new().await;
    let is_served = async |address: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut answer = [0; 12];
        let answered = timeout(Duration::from_secs(2), stream.read_exact(&mut answer)).await;
        answered.unwrap().is_ok().then_some(stream)
    };
    let most = ["--max-network-connections", "2"];
    let address = app.serve(&most).await;
    let (one, two) = (is_served(&address).await, is_served(&address).await);
    assert!(one.is_some() && two.is_some());
    assert!(is_served(&address).await.is_none(), "there is no third");
    drop(one);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(is_served(&address).await.is_some());
    // A proxy's are many people's.
    let address = app.serve(&[&most[..], &["--trusted-proxies", "127.0.0.0/8"]].concat()).await;
    let all = [is_served(&address).await, is_served(&address).await, is_served(&address).await];
    assert!(all.iter().all(Option::is_some));
}

/// A socket takes the connection's place with it.
#[tokio::test]
async fn sockets_are_connections_too() {
    let app = TestApp::new().await;
    let address = app.serve(&["--max-connections", "2"]).await;
    let open = async || {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let upgrade = "GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
            Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        let answered = timeout(Duration::from_millis(500), stream.read_exact(&mut head)).await;
        answered.is_ok().then_some(stream)
    };
    let (one, two) = (open().await, open().await);
    assert!(one.is_some() && two.is_some());
    assert!(open().await.is_none(), "there is no third");
    drop(one);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(open().await.is_some());
}
