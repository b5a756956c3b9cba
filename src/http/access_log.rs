//! Records each request in the access log when its response is sent.
//!
//! A response is sent when its body is dropped: that of a stream at the end of the stream. If the
//! client disconnects before there is a response, the request has the status 499, as in nginx.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use ipnet::IpNet;

use super::{REQUEST_ID, client_ip};
use crate::clock;
use crate::telemetry::{AccessEntry, AccessLog};

/// The status of a request whose client did not wait for the response.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Longest text of an entry that the client chooses, in characters.
///
/// Longer texts are cut.
const MAX_TEXT_CHARS: usize = 200;

/// The access log, and the proxies that are trusted to name the client.
#[derive(Clone)]
pub struct AccessRecorder {
    pub log: AccessLog,
    pub proxies: Arc<[IpNet]>,
}

/// Handles a request and records it.
pub async fn record(
    State(recorder): State<AccessRecorder>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let entry = entry(&head, &recorder.proxies);
    let mut recorded = Recorded { log: recorder.log, entry, started_at: Instant::now() };
    let response = next.run(Request::from_parts(head, body)).await;
    recorded.entry.status = response.status().as_u16();
    recorded.entry.request_id = response.headers().get(REQUEST_ID).map(text);
    response.map(|body| Body::new(RecordedBody { body, recorded }))
}

/// The entry of a request without a response.
fn entry(head: &Parts, proxies: &[IpNet]) -> AccessEntry {
    let header = |name: HeaderName| head.headers.get(name);
    AccessEntry {
        received_at: clock::now(),
        client: client_ip::address(head, proxies),
        method: cut(head.method.as_str()),
        path: cut(head.uri.path()),
        protocol: format!("{:?}", head.version),
        referer: header(header::REFERER).and_then(origin),
        user_agent: header(header::USER_AGENT).map(text),
        status: CLIENT_CLOSED_REQUEST,
        bytes: 0,
        elapsed: Duration::ZERO,
        request_id: None,
    }
}

/// The scheme and the host of a URL, whose path may contain a secret.
fn origin(url: &HeaderValue) -> Option<String> {
    let url = url.to_str().ok()?.parse::<Uri>().ok()?;
    let (scheme, host) = (url.scheme_str()?, url.host()?);
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(cut(&format!("{scheme}://{host}{port}")))
}

fn text(value: &HeaderValue) -> String {
    cut(&String::from_utf8_lossy(value.as_bytes()))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

/// A request, which is recorded when this is dropped.
struct Recorded {
    log: AccessLog,
    entry: AccessEntry,
    started_at: Instant,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.entry.elapsed = self.started_at.elapsed();
        self.log.write(&self.entry);
    }
}

/// The body of a response, whose request is recorded at its end.
struct RecordedBody {
    body: Body,
    recorded: Recorded,
}

impl HttpBody for RecordedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            this.recorded.entry.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn entries_have_neither_query_strings_nor_credentials() {
        let request = Request::get("/graphql?token=secret#secret")
            .header(header::REFERER, "https://user:secret@app.example:8443/reset/secret?t=secret")
            .header(header::AUTHORIZATION, "Bearer secret")
            .header(header::COOKIE, "a=secret")
            .header(header::USER_AGENT, "x".repeat(1_000));
        let (head, ()) = request.body(()).unwrap().into_parts();
        let entry = entry(&head, &[]);
        assert!(!format!("{entry:?}").contains("secret"), "{entry:?}");
        assert_eq!(entry.path, "/graphql");
        assert_eq!(entry.referer.as_deref(), Some("https://app.example:8443"));
        assert_eq!(entry.user_agent.unwrap().len(), MAX_TEXT_CHARS);
    }
}
