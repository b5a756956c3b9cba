//! The WebSocket protocol graphql-transport-ws, with a client that can violate it.
//!
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md> is the specification.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{TIMELINE, read_timeline, summary};
use crate::support::actors::{Actor, texts};
use crate::support::app::{TestApp, TestDatabase};
use crate::support::process::Process;
use crate::support::stream_client::IDLE_TIMEOUT;

/// Longest wait for a message that must come.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) struct Socket(pub(super) WebSocketStream<TcpStream>);

#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    Message(Value),
    /// A close frame with its code.
    Close(u16),
    /// The connection ended without a close frame.
    Disconnected,
}

impl Socket {
    pub(super) async fn open(address: &str) -> Self {
        Self::open_with(address, Some("graphql-transport-ws")).await
    }

    /// Opens a WebSocket with the given subprotocol.
    async fn open_with(address: &str, protocol: Option<&str>) -> Self {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        Self(socket)
    }

    /// Opens a WebSocket and initialises it with the token of `actor`.
    pub(super) async fn open_as(address: &str, actor: &Actor<'_>) -> Self {
        let mut socket = Self::open(address).await;
        let token = actor.token.as_ref().map(|token| format!("Bearer {token}"));
        socket
            .send(json!({ "type": "connection_init", "payload": { "authorization": token } }))
            .await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        socket
    }

    pub(super) async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(super) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    pub(super) async fn incoming(&mut self) -> Incoming {
        loop {
            match timeout(MESSAGE_TIMEOUT, self.0.next()).await.expect("no message came") {
                Some(Ok(Message::Text(text))) => {
                    return Incoming::Message(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => {
                    return Incoming::Close(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Incoming::Disconnected,
            }
        }
    }

    pub(super) async fn message(&mut self) -> Value {
        match self.incoming().await {
            Incoming::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// Panics if a message comes within [`IDLE_TIMEOUT`].
    async fn assert_idle(&mut self) {
        let incoming = timeout(IDLE_TIMEOUT, self.incoming()).await;
        assert!(incoming.is_err(), "{incoming:?}");
    }
}

#[tokio::test]
async fn operations_run_concurrently_and_end_with_complete_or_error() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let address = app.serve(&[]).await;
    actors.john.follow(&actors.susan).await;
    let mut socket = Socket::open_as(&address, &actors.john).await;

    // Queries and mutations get one response while the subscription runs.
    let (after, _) = read_timeline(&actors.john).await;
    socket.subscribe("timeline", TIMELINE, json!({ "after": after })).await;
    socket.subscribe("query", "{ viewer { user { username } } }", json!({})).await;
    let next = json!({ "id": "query", "type": "next",
        "payload": { "data": { "viewer": { "user": { "username": "john" } } } } });
    assert_eq!(socket.message().await, next);
    assert_eq!(socket.message().await, json!({ "id": "query", "type": "complete" }));
    let write = "mutation { createPost(input: {body: \"john's\"}) { post { body } } }";
    socket.subscribe("mutation", write, json!({})).await;
    let mut received = Vec::new();
    for _ in 0..3 {
        let message = socket.message().await;
        received.push((message["id"].clone(), message["type"].clone()));
        if message["id"] == "timeline" {
            assert_eq!(summary(&message["payload"]["data"]["timelineEvents"]), "+john's");
        }
    }
    for expected in [("mutation", "next"), ("mutation", "complete"), ("timeline", "next")] {
        assert!(received.contains(&(json!(expected.0), json!(expected.1))), "{received:?}");
    }

    actors.susan.write("susan's").await;
    let event = socket.message().await;
    assert_eq!(summary(&event["payload"]["data"]["timelineEvents"]), "+susan's");
    // A completed operation sends no more messages, and its id can be used again.
    socket.send(json!({ "id": "timeline", "type": "complete" })).await;
    socket.send(json!({ "id": "unknown", "type": "complete" })).await;
    socket.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    actors.susan.write("after complete").await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong" }));
    socket.send(json!({ "type": "pong" })).await;
    socket.assert_idle().await;
    socket.subscribe("timeline", "{ __typename }", json!({})).await;
    assert_eq!(socket.message().await["payload"]["data"]["__typename"], "Query");
    assert_eq!(socket.message().await["type"], "complete");
    assert_eq!(app.app.events.subscribers(), 0, "the subscription has ended");

    // A request error is sent as 'error', which ends the operation.
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { timelineEvents(after: \"?\") { __typename } }", "INVALID_CURSOR"),
        (
            "subscription { timelineEvents { __typename } followCounts(userId: \"a\") { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ] {
        socket.subscribe("invalid", query, json!({})).await;
        let message = socket.message().await;
        assert_eq!(
            (&message["id"], &message["type"]),
            (&json!("invalid"), &json!("error")),
            "{query}"
        );
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{message}");
    }
    socket.assert_idle().await;
}

#[tokio::test]
async fn protocol_violations_close_the_socket_with_the_specified_code() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let init = json!({ "type": "connection_init" });
    let payload = json!({ "query": TIMELINE });
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
    let token = format!("Bearer {}", john.token.as_ref().unwrap());
    let init_as_john = json!({ "type": "connection_init", "payload": { "authorization": token } });
    let init_with = |payload: Value| json!({ "type": "connection_init", "payload": payload });
    let no_id = json!({ "type": "subscribe", "payload": payload });
    let empty_id = json!({ "id": "", "type": "subscribe", "payload": payload });
    let long_id = json!({ "id": "i".repeat(1_025), "type": "subscribe", "payload": payload });
    let no_query = json!({ "id": "1", "type": "subscribe", "payload": {} });
    for (messages, code) in [
        (vec![json!("text")], 4400),
        (vec![json!({})], 4400),
        (vec![json!({ "type": "unknown" })], 4400),
        (vec![init_with(json!("text"))], 4400),
        (vec![init.clone(), no_id], 4400),
        (vec![init.clone(), empty_id], 4400),
        (vec![init.clone(), long_id], 4400),
        (
            vec![init.clone(), json!({ "type": "ping", "payload": { "a": "x".repeat(65_536) } })],
            1009,
        ),
        (
            vec![init.clone(), json!({ "type": "ping", "payload": { "a": "x".repeat(140_000) } })],
            1009,
        ),
        (vec![init.clone(), no_query], 4400),
        (vec![subscribe.clone()], 4401),
        (vec![init_with(json!({ "authorization": "Bearer wrong" }))], 4403),
        (vec![init_with(json!({ "authorization": 1 }))], 4403),
        (vec![init_with(json!({ "token": "t" }))], 4403),
        (vec![init_with(json!({ "headers": [["authorization", token]] }))], 4403),
        (vec![init_with(json!({ "authorization": token, "Authorization": "Bearer x" }))], 4403),
        (vec![init_with(json!({ "headers": { "x-api-key": "t" } }))], 4403),
        (vec![init_as_john.clone(), subscribe.clone(), subscribe.clone()], 4409),
        (vec![init.clone(), init.clone()], 4429),
        (vec![init.clone(), init], 4429),
    ] {
        let mut socket = Socket::open(&address).await;
        for message in &messages {
            socket.send(message.clone()).await;
        }
        let mut incoming = socket.incoming().await;
        while let Incoming::Message(_) = incoming {
            incoming = socket.incoming().await;
        }
        assert_eq!(incoming, Incoming::Close(code), "{messages:?}");
    }
    let mut socket = Socket::open(&address).await;
    socket.0.send(Message::binary(b"{}".to_vec())).await.unwrap();
    assert_eq!(socket.incoming().await, Incoming::Close(4400));
    let mut socket = Socket::open_with(&address, None).await;
    assert_eq!(socket.incoming().await, Incoming::Close(4406));
    assert_eq!(app.app.events.subscribers(), 0, "the subscription has ended");
}

#[tokio::test]
async fn streams_per_user_operations_per_socket_and_message_size_are_limited() {
    let options =
        ["--read-timeout", "1", "--max-operations-per-socket", "2", "--max-streams-per-user", "2"];
    let app = TestApp::with(&options).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let address = app.serve(&[]).await;
    let mut uninitialised = Socket::open(&address).await;
    let mut first = Socket::open_as(&address, &john).await;
    let second = Socket::open_as(&address, &john).await;
    let _susans = Socket::open_as(&address, &susan).await;
    let token = format!("Bearer {}", john.token.as_ref().unwrap());
    let init = json!({ "type": "connection_init", "payload": { "Authorization": token } });
    let mut third = Socket::open(&address).await;
    third.send(init.clone()).await;
    assert_eq!(third.incoming().await, Incoming::Close(4403));
    drop(second);
    let mut replacement = Socket::open(&address).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    replacement.send(init).await;
    assert_eq!(replacement.message().await["type"], "connection_ack");

    for id in ["1", "2", "3"] {
        first.subscribe(id, TIMELINE, json!({})).await;
    }
    let rejected = first.message().await;
    assert_eq!((&rejected["id"], &rejected["type"]), (&json!("3"), &json!("error")));
    assert_eq!(rejected["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
    first.send(json!({ "id": "1", "type": "complete" })).await;
    first.subscribe("3", "{ __typename }", json!({})).await;
    assert_eq!(first.message().await["id"], "3");
    assert_eq!(uninitialised.incoming().await, Incoming::Close(4408));

    let mut oversized = Socket::open_as(&address, &susan).await;
    oversized.0.send(Message::text("x".repeat(100_000))).await.unwrap();
    assert!(!matches!(oversized.incoming().await, Incoming::Message(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_responses_hold_no_database_connection() {
    let patient = ["--write-timeout", "3600"];
    let one_reader = ["--database-max-read-connections", "1"];
    let app = TestApp::with(&[&patient[..], &one_reader].concat()).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let body = "x".repeat(5_000);
    for _ in 0..100 {
        john.write(&body).await;
    }
    let address = app.serve(&patient).await;
    let mut socket = Socket::open_as(&address, &john).await;
    for id in 0..60 {
        let posts = "{ posts(first: 100) { nodes { body author { postsCount } } } }";
        socket.subscribe(&id.to_string(), posts, json!({})).await;
    }
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        timeout(Duration::from_mins(1), susan.timeline()).await.expect("susan waits for john");
    }
    // The client gets all responses when it reads them.
    let mut complete = 0;
    while complete < 60 {
        complete += usize::from(socket.message().await["type"] == "complete");
    }
}

#[tokio::test]
async fn an_operation_after_the_session_ended_closes_the_socket_with_4403() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let mut socket = Socket::open_as(&address, &john).await;
    john.mutate("logout { changed }").await;
    socket.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.incoming().await, Incoming::Close(4403));
}

#[tokio::test]
async fn shutdown_closes_the_socket_with_1001() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let mut socket = Socket::open_as(&address, &john).await;
    socket.subscribe("1", TIMELINE, json!({})).await;
    app.app.shutdown.shut_down();
    assert_eq!(socket.incoming().await, Incoming::Close(1001));
    drop(socket);
    assert!(app.app.shutdown.wait(MESSAGE_TIMEOUT).await, "all connections have ended");
}

/// On PostgreSQL the client resumes on another instance, on SQLite after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_killed_instance_resumes_without_loss() {
    const POSTS: usize = 200;
    let fixture = TestDatabase::new().await;
    let url = fixture.url();
    let mut first = Process::start(&url);
    let register = |name: &str| {
        format!(
            "mutation {{ register(input: {{username: \"{name}\", email: \"{name}@example.com\", \
             password: \"correct horse battery\"}}) {{ token }} }}"
        )
    };
    let token = |name| {
        let response = Process::post(&first.address, "", &register(name)).unwrap();
        response["data"]["register"]["token"].as_str().unwrap().to_owned()
    };
    let (john, susan) = (token("john"), token("susan"));
    let follow = "mutation { follow(user: {username: \"susan\"}) { changed } }";
    Process::post(&first.address, &john, follow).unwrap();
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let response = Process::post(&first.address, &john, cursor).unwrap();
    let mut cursor = response["data"]["viewer"]["user"]["timeline"]["streamCursor"].clone();

    let mut second = url.starts_with("postgres").then(|| Process::start(&url));
    let init = json!({ "type": "connection_init",
        "payload": { "authorization": format!("Bearer {john}") } });
    let resume = async |address: &str, after: &Value| {
        let mut socket = Socket::open(address).await;
        socket.send(init.clone()).await;
        socket.message().await;
        socket.subscribe("1", TIMELINE, json!({ "after": after })).await;
        socket
    };
    let mut received = Vec::new();
    let record = |message: &Value, cursor: &mut Value, received: &mut Vec<String>| {
        let event = &message["payload"]["data"]["timelineEvents"];
        *cursor = event["cursor"].clone();
        received.push(event["edge"]["node"]["id"].as_str().unwrap().to_owned());
    };
    let mut socket = resume(&first.address, &cursor).await;
    let (address, writer) = (first.address.clone(), susan.clone());
    let create = "mutation { createPost(input: {body: \"Hi\"}) { post { id } } }";
    let id =
        |response: Value| Some(response["data"]["createPost"]["post"]["id"].as_str()?.to_owned());
    let writing = std::thread::spawn(move || {
        let posts = || Process::post(&address, &writer, create).and_then(id);
        std::iter::from_fn(posts).take(POSTS).collect::<Vec<_>>()
    });
    while received.len() < 20 {
        record(&socket.message().await, &mut cursor, &mut received);
    }
    first.kill();
    let mut acknowledged = writing.join().unwrap();
    while let Incoming::Message(message) = socket.incoming().await {
        record(&message, &mut cursor, &mut received);
    }
    let second = second.get_or_insert_with(|| Process::start(&url));
    acknowledged.push(Process::post(&second.address, &susan, create).and_then(id).unwrap());
    let mut socket = resume(&second.address, &cursor).await;
    while received.last() != acknowledged.last() {
        record(&socket.message().await, &mut cursor, &mut received);
    }
    socket.assert_idle().await;
    // A post that was committed although its response was lost is delivered too.
    let stored = "{ user(by: {username: \"susan\"}) { posts(first: 100) { nodes { id } } } }";
    let stored = Process::post(&second.address, &john, stored).unwrap();
    let mut stored = texts(&stored["data"]["user"]["posts"]["nodes"], "id");
    stored.reverse();
    assert!(
        received.ends_with(&stored) || stored.ends_with(&received),
        "{} {}",
        received.len(),
        stored.len()
    );
    for id in &acknowledged {
        assert_eq!(received.iter().filter(|received| *received == id).count(), 1);
    }
    second.kill();
}
