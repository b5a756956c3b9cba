//! WebSocket clients can neither overload the server nor delay its shutdown.
//!
//! A message over the rate limit executes no SQL statement. A session that has ended is not charged
//! as a guessed token.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::socket::{Incoming, MESSAGE_TIMEOUT, Socket};
use crate::support::app::TestApp;

const QUERY: &str = "{ viewer { email } }";

#[tokio::test]
async fn messages_over_the_rate_limit_are_rejected_without_a_statement() {
    let app = TestApp::with(&["--rate-limit-per-user", "60"]).await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let mut socket = Socket::open_as(&address, &john).await;
    let messages = async {
        for n in 0..200 {
            socket.subscribe(&n.to_string(), QUERY, json!({})).await;
        }
        let mut codes = vec![];
        while codes.len() < 100 {
            let message = socket.message().await;
            if message["type"] == "error" {
                codes.push(message["payload"][0]["extensions"]["code"].clone());
            }
        }
        codes
    };
    let (codes, statements) = app.count_statements(messages).await;
    assert_eq!(codes, vec![json!("RATE_LIMITED"); 100]);
    // Up to 60 messages are within the limit; each takes the session's statement and the user's.
    assert!(statements <= 2 * 60, "{statements} statements");
}

#[tokio::test]
async fn a_client_that_keeps_sending_does_not_delay_the_shutdown() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let socket = Socket::open_as(&address, &john).await;
    let (mut sink, mut stream) = socket.0.split();
    let flood = tokio::spawn(async move {
        for n in 0u64.. {
            let payload = json!({ "query": QUERY });
            let message = json!({ "id": n.to_string(), "type": "subscribe", "payload": payload });
            if sink.send(Message::text(message.to_string())).await.is_err() {
                break;
            }
        }
    });
    assert!(stream.next().await.is_some(), "the flood is being answered");
    let reader = tokio::spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
    app.app.shutdown.shut_down();
    assert!(app.app.shutdown.wait(MESSAGE_TIMEOUT).await, "the WebSocket is closed");
    reader.await.unwrap();
    flood.await.unwrap();
}

#[tokio::test]
async fn an_ended_session_is_not_charged_as_a_guessed_token() {
    let app = TestApp::with(&["--rate-limit-per-network", "100"]).await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let mut socket = Socket::open_as(&address, &john).await;
    john.mutate("logout(everywhere: true) { changed }").await;
    socket.subscribe("after", QUERY, json!({})).await;
    assert_eq!(socket.incoming().await, Incoming::Close(4403));
    // A guessed token would have cost the network all of its points.
    let mut anonymous = Socket::open_as(&address, &app.anonymous()).await;
    anonymous.subscribe("1", QUERY, json!({})).await;
    assert_eq!(anonymous.message().await["type"], "next");
}

/// They start no operation, and are bounded before `connection_init` too.
#[tokio::test]
async fn a_flood_of_pings_closes_the_socket_with_1008() {
    let app = TestApp::with(&["--max-socket-messages-per-minute", "60"]).await;
    let address = app.serve(&[]).await;
    let text = |message: serde_json::Value| Message::text(message.to_string());
    let filler = "x".repeat(2_000);
    for (message, max) in [
        (Message::Ping(vec![].into()), 70),
        (Message::Pong(vec![].into()), 70),
        (text(json!({ "type": "ping" })), 70),
        (text(json!({ "type": "pong", "payload": { "filler": filler } })), 35),
        (text(json!({ "type": "complete", "id": "none" })), 70),
    ] {
        let mut socket = Socket::open(&address).await;
        // The server reads while it writes, so a client may send after the close.
        for _ in 0..max {
            let _ = socket.0.send(message.clone()).await;
        }
        let mut end = socket.incoming().await;
        while matches!(end, Incoming::Message(_)) {
            end = socket.incoming().await;
        }
        assert_eq!(end, Incoming::Close(1008), "{message:?}");
    }
}

/// They are charged to no rate limit.
#[tokio::test]
async fn a_flood_of_rejected_operations_closes_the_socket_with_1008() {
    for limit in [
        "--max-operations-per-socket",
        "--max-stream-operations-per-user",
        "--max-stream-operations-per-network",
        "--max-stream-operations",
    ] {
        check_rejected_operations(limit).await;
    }
}

async fn check_rejected_operations(limit: &str) {
    let app = TestApp::with(&["--max-socket-messages-per-minute", "60", limit, "1"]).await;
    let john = app.register("john").await;
    let address = app.serve(&[]).await;
    let mut socket = Socket::open_as(&address, &john).await;
    let events = "subscription { timelineEvents { __typename } }";
    for n in 0..70 {
        socket.subscribe(&n.to_string(), events, json!({})).await;
    }
    let mut rejected = 0;
    let end = loop {
        match socket.incoming().await {
            Incoming::Message(message) => {
                let code = &message["payload"][0]["extensions"]["code"];
                assert_eq!(code, "TOO_MANY_OPERATIONS", "{limit}: {message}");
                rejected += 1;
                assert!(rejected <= 61, "the socket stays open");
            }
            end => break end,
        }
    };
    assert_eq!(end, Incoming::Close(1008));
    assert!(rejected >= 50, "{rejected}");
}
