//! A client for subscriptions over server-sent events, in process.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::support::actors::Actor;

/// Longest wait for an event that must come.
const EVENT_TIMEOUT: Duration = Duration::from_mins(1);
/// Time without an event after which a test assumes that none will come.
pub const IDLE_TIMEOUT: Duration = Duration::from_millis(150);

/// The stream of one subscription.
pub struct EventClient {
    body: BodyDataStream,
    buffer: String,
}

impl Actor<'_> {
    fn subscription_request(&self, document: &str, variables: &Value) -> Request<Body> {
        let body = json!({ "query": document, "variables": variables }).to_string();
        let mut request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Body::from(body)).unwrap()
    }

    /// Requests a subscription, which starts when its stream is first polled.
    pub async fn subscribe(&self, document: &str, variables: Value) -> EventClient {
        let request = self.subscription_request(document, &variables);
        let response = self.app.app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        EventClient { body: response.into_body().into_data_stream(), buffer: String::new() }
    }

    /// The code of the error with which a subscription is rejected.
    pub async fn subscription_error(&self, document: &str, variables: Value) -> String {
        self.subscribe(document, variables).await.error().await
    }

    /// Subscribes, and waits until the subscriber is registered.
    ///
    /// The subscriber gets all events after that.
    pub async fn subscribe_and_join(&self, document: &str, variables: Value) -> EventClient {
        let joined_before = self.app.app.events.joined();
        let mut events = self.subscribe(document, variables).await;
        let joined = async {
            while self.app.app.events.joined() == joined_before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // The stream is lazy: reading it makes the subscription start.
        tokio::select! {
            () = joined => {}
            has_more = events.read() => assert!(has_more, "the stream ended"),
        }
        events
    }
}

impl EventClient {
    /// Reads the next chunk into the buffer. Returns `false` at the end of the stream.
    async fn read(&mut self) -> bool {
        match self.body.next().await {
            Some(bytes) => {
                self.buffer += std::str::from_utf8(&bytes.unwrap()).unwrap();
                true
            }
            None => false,
        }
    }

    /// The next response, or `None` when the subscription is complete.
    ///
    /// The response may contain errors.
    pub async fn response(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let fields: Vec<&str> = event.lines().collect();
                let response = match fields.as_slice() {
                    ["event: next", data] => serde_json::from_str(&data["data: ".len()..]).ok(),
                    ["event: complete", ..] => None,
                    _ => {
                        // A comment that keeps the connection alive.
                        assert!(event.starts_with(':'), "{event}");
                        self.buffer = rest.into();
                        continue;
                    }
                };
                self.buffer = rest.into();
                return response;
            }
            let has_more = timeout(EVENT_TIMEOUT, self.read()).await.expect("no event came");
            assert!(has_more, "the stream ended without 'complete'");
        }
    }

    /// The only field of the next response, which must have no errors.
    pub async fn next(&mut self) -> Value {
        let response = self.response().await.expect("the subscription is complete");
        assert!(response.get("errors").is_none(), "{response:#}");
        response["data"].as_object().unwrap().values().next().unwrap().clone()
    }

    /// The code of the error that ends the subscription.
    pub async fn error(&mut self) -> String {
        let response = self.response().await.expect("the subscription is complete");
        assert_eq!(self.response().await, None);
        response["errors"][0]["extensions"]["code"].as_str().unwrap().to_owned()
    }

    /// Panics if a response comes within [`IDLE_TIMEOUT`].
    pub async fn assert_idle(&mut self) {
        if let Ok(response) = timeout(IDLE_TIMEOUT, self.response()).await {
            panic!("unexpected response: {response:?}");
        }
    }
}
