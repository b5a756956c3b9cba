//! HTTP/1.1 connections: the header `Host`, and the handshake of WebSockets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::TestApp;

/// Sends the head of a request to a server, and returns the head of the response.
async fn exchange_heads(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(response).unwrap()
}

#[tokio::test]
async fn requests_without_exactly_one_host_get_400() {
    let address = TestApp::new().await.serve(&[]).await;
    for (head, status) in [
        ("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET /livez HTTP/1.0\r\n\r\n", 200),
        ("GET /livez HTTP/1.1\r\n\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /livez HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ] {
        let response = exchange_heads(&address, head).await;
        assert_eq!(response[9..12].parse(), Ok(status), "{head} {response}");
    }
}

/// Some WebSocket clients look up header names with regard to case.
#[tokio::test]
async fn a_websocket_handshake_is_answered_with_the_clients_spelling_of_header_names() {
    let address = TestApp::new().await.serve(&[]).await;
    for name in ["Sec-WebSocket-Protocol", "sec-websocket-protocol"] {
        let head = format!(
            "GET /graphql HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {name}: graphql-transport-ws\r\n\r\n"
        );
        let response = exchange_heads(&address, &head).await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        let expected = format!("\r\n{name}: graphql-transport-ws\r\n");
        assert!(response.contains(&expected), "{response}");
    }
}
