//! The protocol graphql-transport-ws, by a client that can break each of its rules.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rookery::http::Stage;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{TIMELINE, page, word};
use crate::app::{Place, TestApp};
use crate::cast::Actor;
use crate::instances::Process;

const SOON: Duration = Duration::from_secs(10);

struct Socket(WebSocketStream<TcpStream>);

#[derive(Debug, PartialEq)]
enum Incoming {
    Message(Value),
    Close(u16),
    Gone,
}

impl Socket {
    async fn open(address: &str) -> Self {
        Self::speaking(address, Some("graphql-transport-ws")).await
    }

    async fn speaking(address: &str, protocol: Option<&str>) -> Self {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        Self(socket)
    }

    /// Acknowledged, as the actor.
    async fn of(address: &str, actor: &Actor<'_>) -> Self {
        let mut socket = Self::open(address).await;
        let token = actor.token.as_ref().map(|token| format!("Bearer {token}"));
        socket
            .send(json!({ "type": "connection_init", "payload": { "authorization": token } }))
            .await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        socket
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    async fn incoming(&mut self) -> Incoming {
        loop {
            match timeout(SOON, self.0.next()).await.expect("nothing has come") {
                Some(Ok(Message::Text(text))) => {
                    return Incoming::Message(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => {
                    return Incoming::Close(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Incoming::Gone,
            }
        }
    }

    async fn message(&mut self) -> Value {
        match self.incoming().await {
            Incoming::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    async fn nothing(&mut self) {
        let nothing = timeout(Duration::from_millis(150), self.incoming()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }
}

#[tokio::test]
async fn an_operation_from_beginning_to_end() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let address = app.serve(&[]).await;
    cast.john.follow(&cast.susan).await;
    let mut socket = Socket::of(&address, &cast.john).await;

    // Queries and mutations are answered once, side by side with what goes on.
    let (after, _) = page(&cast.john).await;
    socket.subscribe("t", TIMELINE, json!({ "after": after })).await;
    socket.subscribe("q", "{ viewer { user { username } } }", json!({})).await;
    let next = json!({ "id": "q", "type": "next",
        "payload": { "data": { "viewer": { "user": { "username": "john" } } } } });
    assert_eq!(socket.message().await, next);
    assert_eq!(socket.message().await, json!({ "id": "q", "type": "complete" }));
    let write = "mutation { createPost(input: {body: \"mine\"}) { post { body } } }";
    socket.subscribe("m", write, json!({})).await;
    let mut got = Vec::new();
    for _ in 0..3 {
        let message = socket.message().await;
        got.push((message["id"].clone(), message["type"].clone()));
        if message["id"] == "t" {
            assert_eq!(word(&message["payload"]["data"]["timelineEvents"]), "+mine");
        }
    }
    for expected in [("m", "next"), ("m", "complete"), ("t", "next")] {
        assert!(got.contains(&(json!(expected.0), json!(expected.1))), "{got:?}");
    }

    cast.susan.write("hers").await;
    let event = socket.message().await;
    assert_eq!(word(&event["payload"]["data"]["timelineEvents"]), "+hers");
    // After its end nothing comes of an operation, and its id is free.
    socket.send(json!({ "id": "t", "type": "complete" })).await;
    socket.send(json!({ "id": "unknown", "type": "complete" })).await;
    socket.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    cast.susan.write("unheard").await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong" }));
    socket.send(json!({ "type": "pong" })).await;
    socket.nothing().await;
    socket.subscribe("t", "{ __typename }", json!({})).await;
    assert_eq!(socket.message().await["payload"]["data"]["__typename"], "Query");
    assert_eq!(socket.message().await["type"], "complete");
    assert_eq!(app.app.live.subscribers(), 0, "nobody is left behind");

    // What does not come to run is an error, and the last word.
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { timelineEvents(after: \"?\") { __typename } }", "INVALID_CURSOR"),
        (
            "subscription { timelineEvents { __typename } followCounts(userId: \"a\") { id } }",
            "QUERY_TOO_COMPLEX",
        ),
    ] {
        socket.subscribe("e", query, json!({})).await;
        let message = socket.message().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("e"), &json!("error")), "{query}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{message}");
    }
    socket.nothing().await;
}

#[tokio::test]
async fn rules_that_are_broken_close_the_socket() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let address = app.serve(&[]).await;
    let init = json!({ "type": "connection_init" });
    let payload = json!({ "query": TIMELINE });
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
    let token = format!("Bearer {}", john.token.as_ref().unwrap());
    let me = json!({ "type": "connection_init", "payload": { "authorization": token } });
    let with = |payload: Value| json!({ "type": "connection_init", "payload": payload });
    let no_id = json!({ "type": "subscribe", "payload": payload });
    let empty_id = json!({ "id": "", "type": "subscribe", "payload": payload });
    let long_id = json!({ "id": "i".repeat(1_025), "type": "subscribe", "payload": payload });
    let no_query = json!({ "id": "1", "type": "subscribe", "payload": {} });
    for (messages, code) in [
        (vec![json!("text")], 4400),
        (vec![json!({})], 4400),
        (vec![json!({ "type": "unknown" })], 4400),
        (vec![with(json!("text"))], 4400),
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
        (vec![with(json!({ "authorization": "Bearer wrong" }))], 4403),
        (vec![with(json!({ "authorization": 1 }))], 4403),
        (vec![me.clone(), subscribe.clone(), subscribe.clone()], 4409),
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
    let mut socket = Socket::speaking(&address, None).await;
    assert_eq!(socket.incoming().await, Incoming::Close(4406));
    assert_eq!(app.app.live.subscribers(), 0, "nobody is left behind");
}

#[tokio::test]
async fn there_are_limits() {
    let options =
        ["--header-timeout", "1", "--max-socket-operations", "2", "--max-user-sockets", "2"];
    let app = TestApp::with(&options).await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let address = app.serve(&[]).await;
    let mut late = Socket::open(&address).await;
    let mut one = Socket::of(&address, &john).await;
    let two = Socket::of(&address, &john).await;
    let _other = Socket::of(&address, &susan).await;
    let token = format!("Bearer {}", john.token.as_ref().unwrap());
    let init = json!({ "type": "connection_init", "payload": { "Authorization": token } });
    let mut three = Socket::open(&address).await;
    three.send(init.clone()).await;
    assert_eq!(three.incoming().await, Incoming::Close(4403));
    drop(two);
    let mut again = Socket::open(&address).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    again.send(init).await;
    assert_eq!(again.message().await["type"], "connection_ack");

    for id in ["1", "2", "3"] {
        one.subscribe(id, TIMELINE, json!({})).await;
    }
    let refused = one.message().await;
    assert_eq!((&refused["id"], &refused["type"]), (&json!("3"), &json!("error")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
    one.send(json!({ "id": "1", "type": "complete" })).await;
    one.subscribe("3", "{ __typename }", json!({})).await;
    assert_eq!(one.message().await["id"], "3");
    assert_eq!(late.incoming().await, Incoming::Close(4408));

    let mut long = Socket::of(&address, &susan).await;
    long.0.send(Message::text("x".repeat(100_000))).await.unwrap();
    assert!(!matches!(long.incoming().await, Incoming::Message(_)));
}

/// Who asks for much and does not read it keeps no connection to the database.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_keeps_nobody_waiting() {
    let app = TestApp::with(&["--database-readers", "1"]).await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let long = "x".repeat(5_000);
    for _ in 0..100 {
        john.write(&long).await;
    }
    let address = app.serve(&[]).await;
    let mut socket = Socket::of(&address, &john).await;
    for id in 0..60 {
        let posts = "{ posts(first: 100) { nodes { body author { postsCount } } } }";
        socket.subscribe(&id.to_string(), posts, json!({})).await;
    }
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        timeout(Duration::from_secs(3), susan.timeline()).await.expect("susan waits for john");
    }
    // All of it is there when it is read after all.
    let mut complete = 0;
    while complete < 60 {
        complete += usize::from(socket.message().await["type"] == "complete");
    }
}

#[tokio::test]
async fn a_token_that_is_good_no_longer_closes_the_socket() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let address = app.serve(&[]).await;
    let mut socket = Socket::of(&address, &john).await;
    john.mutate("logout { changed }").await;
    socket.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.incoming().await, Incoming::Close(4403));
}

#[tokio::test]
async fn a_service_that_stops_says_goodbye() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let address = app.serve(&[]).await;
    let mut socket = Socket::of(&address, &john).await;
    socket.subscribe("1", TIMELINE, json!({})).await;
    app.app.stopping.send_replace(Stage::Stopping);
    assert_eq!(socket.incoming().await, Incoming::Close(1001));
    drop(socket);
    timeout(SOON, app.app.stopping.closed()).await.expect("everybody has gone");
}

/// Killed in the middle of it; the client goes on with what takes its place: on PostgreSQL another instance, on
/// SQLite the same one, started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_takes_nothing_with_it() {
    const POSTS: usize = 200;
    let place = Place::new().await;
    let url = place.url();
    let mut first = Process::start(&url);
    let register = |name: &str| {
        format!(
            "mutation {{ register(input: {{username: \"{name}\", email: \"{name}@example.com\", \
             password: \"correct horse battery\"}}) {{ token }} }}"
        )
    };
    let token = |name| {
        let answer = Process::post(&first.address, "", &register(name)).unwrap();
        answer["data"]["register"]["token"].as_str().unwrap().to_owned()
    };
    let (john, susan) = (token("john"), token("susan"));
    let follow = "mutation { follow(user: {username: \"susan\"}) { changed } }";
    Process::post(&first.address, &john, follow).unwrap();
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let answer = Process::post(&first.address, &john, cursor).unwrap();
    let mut cursor = answer["data"]["viewer"]["user"]["timeline"]["streamCursor"].clone();

    let mut second = url.starts_with("postgres").then(|| Process::start(&url));
    let init = json!({ "type": "connection_init",
        "payload": { "authorization": format!("Bearer {john}") } });
    let go_on = async |address: &str, after: &Value| {
        let mut socket = Socket::open(address).await;
        socket.send(init.clone()).await;
        socket.message().await;
        socket.subscribe("1", TIMELINE, json!({ "after": after })).await;
        socket
    };
    let mut told = Vec::new();
    let take = |message: &Value, cursor: &mut Value, told: &mut Vec<String>| {
        let event = &message["payload"]["data"]["timelineEvents"];
        *cursor = event["cursor"].clone();
        told.push(event["edge"]["node"]["id"].as_str().unwrap().to_owned());
    };
    let mut socket = go_on(&first.address, &cursor).await;
    let (address, writer) = (first.address.clone(), susan.clone());
    let create = "mutation { createPost(input: {body: \"Hi\"}) { post { id } } }";
    let id = |answer: Value| Some(answer["data"]["createPost"]["post"]["id"].as_str()?.to_owned());
    let writing = std::thread::spawn(move || {
        let posts = || Process::post(&address, &writer, create).and_then(id);
        std::iter::from_fn(posts).take(POSTS).collect::<Vec<_>>()
    });
    while told.len() < 20 {
        take(&socket.message().await, &mut cursor, &mut told);
    }
    first.kill();
    let mut acknowledged = writing.join().unwrap();
    while let Incoming::Message(message) = socket.incoming().await {
        take(&message, &mut cursor, &mut told);
    }
    let second = second.get_or_insert_with(|| Process::start(&url));
    acknowledged.push(Process::post(&second.address, &susan, create).and_then(id).unwrap());
    let mut socket = go_on(&second.address, &cursor).await;
    while told.last() != acknowledged.last() {
        take(&socket.message().await, &mut cursor, &mut told);
    }
    socket.nothing().await;
    // What was committed when the answer was lost is told as well.
    let stored = "{ user(by: {username: \"susan\"}) { posts(first: 100) { nodes { id } } } }";
    let stored = Process::post(&second.address, &john, stored).unwrap();
    let mut stored = crate::cast::texts(&stored["data"]["user"]["posts"]["nodes"], "id");
    stored.reverse();
    assert!(told.ends_with(&stored) || stored.ends_with(&told), "{} {}", told.len(), stored.len());
    for id in &acknowledged {
        assert_eq!(told.iter().filter(|told| *told == id).count(), 1);
    }
    second.kill();
}
