//! Subscriptions as the tests see them: as server-sent events, in process.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::cast::Actor;

/// Whatever is due comes within this time.
const SOON: Duration = Duration::from_secs(10);
/// Whatever has not come by then does not come.
pub const A_WHILE: Duration = Duration::from_millis(150);

pub struct Events {
    body: BodyDataStream,
    text: String,
}

impl Actor<'_> {
    fn streaming(&self, document: &str, variables: &Value) -> Request<Body> {
        let body = json!({ "query": document, "variables": variables }).to_string();
        let mut request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Body::from(body)).unwrap()
    }

    /// The stream of a subscription; it begins when it is first asked.
    pub async fn subscribe(&self, document: &str, variables: Value) -> Events {
        let request = self.streaming(document, &variables);
        let response = self.app.app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Events { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The code of the error that a subscription comes to at once.
    pub async fn refused(&self, document: &str, variables: Value) -> String {
        self.subscribe(document, variables).await.error().await
    }

    /// The same, when it is there: what happens from now on comes.
    pub async fn watch(&self, document: &str, variables: Value) -> Events {
        let before = self.app.app.live.joined();
        let mut events = self.subscribe(document, variables).await;
        let joined = async {
            while self.app.app.live.joined() == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // Nothing is polled before it is read.
        tokio::select! {
            () = joined => {}
            read = events.read() => assert!(read, "it ended"),
        }
        events
    }
}

impl Events {
    /// Whether there was more.
    async fn read(&mut self) -> bool {
        match self.body.next().await {
            Some(bytes) => {
                self.text += std::str::from_utf8(&bytes.unwrap()).unwrap();
                true
            }
            None => false,
        }
    }

    /// The next answer, errors and all; `None` when it is complete.
    pub async fn answer(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let fields: Vec<&str> = event.lines().collect();
                let answer = match fields.as_slice() {
                    ["event: next", data] => serde_json::from_str(&data["data: ".len()..]).ok(),
                    ["event: complete", ..] => None,
                    _ => {
                        // A comment that keeps the connection alive.
                        assert!(event.starts_with(':'), "{event}");
                        self.text = rest.into();
                        continue;
                    }
                };
                self.text = rest.into();
                return answer;
            }
            let more = timeout(SOON, self.read()).await.expect("nothing has come");
            assert!(more, "it ended without saying so");
        }
    }

    /// The one field of the next event.
    pub async fn next(&mut self) -> Value {
        let answer = self.answer().await.expect("it is complete");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].as_object().unwrap().values().next().unwrap().clone()
    }

    /// The code of the error that comes last.
    pub async fn error(&mut self) -> String {
        let answer = self.answer().await.expect("it is complete");
        assert_eq!(self.answer().await, None);
        answer["errors"][0]["extensions"]["code"].as_str().unwrap().to_owned()
    }

    pub async fn nothing(&mut self) {
        if let Ok(answer) = timeout(A_WHILE, self.answer()).await {
            panic!("nothing was to come but {answer:?}");
        }
    }
}
