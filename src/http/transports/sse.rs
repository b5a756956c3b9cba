//! Server-sent events: the protocol graphql-sse in "distinct connections mode".
//!
//! Each operation has a connection of its own: an event `next` for each response, and an event
//! `complete` at the end. Written by hand because `axum::response::Sse` would release the memory of
//! a response before it is written to the socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::time::timeout;

use crate::graphql::isolation::spawn_buffered;
use crate::graphql::{EncodedResponse, ExecutionResponse, GraphqlEngine, Operation, encode_errors};
use crate::http::{AppState, set_lsn};
use crate::schema::{code, with_code};
use crate::telemetry::RequestScope;

/// Interval of the comments that keep proxies from closing an idle stream.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(12);

/// Asks nginx and other proxies not to buffer the stream.
const X_ACCEL_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Executes an operation of any type and responds with its events.
pub async fn respond(state: &AppState, operation: Operation, writing: &AtomicBool) -> Response {
    let engine = &state.engine;
    if operation.ty() == OperationType::Subscription {
        return subscribe(state, operation).await;
    }
    let executed = match operation.admit().await {
        Ok(admitted) => admitted.execute(writing).await,
        Err(error) => Err(vec![error]),
    };
    match executed {
        Ok(executed) => {
            let mut response = events(once(executed.response.encode()));
            set_lsn(&mut response, executed.lsn);
            response
        }
        Err(errors) => rejected(recorded(engine, errors)),
    }
}

async fn subscribe(state: &AppState, operation: Operation) -> Response {
    let engine = Arc::clone(&state.engine);
    let permit = match engine.streams.open(
        operation.rate_limit_key(),
        operation.network(),
        &engine.limits,
    ) {
        Ok(permit) => permit,
        Err(message) => {
            let error = with_code(code::TOO_MANY_OPERATIONS, message);
            return rejected(recorded(&engine, vec![error]));
        }
    };
    let responses = match operation.admit().await {
        Ok(admitted) => admitted.subscribe(),
        Err(error) => stream::iter([Err(vec![error])]).boxed(),
    };
    let shutdown = state.shutdown.clone();
    let shutting_down = Box::pin(async move { shutdown.shutting_down().await });
    let encode = move |response: Result<ExecutionResponse, Vec<ServerError>>| {
        let _open = &permit;
        match response {
            Ok(response) => response.encode(),
            Err(errors) => encode_errors(recorded(&engine, errors)).into(),
        }
    };
    let responses = spawn_buffered(RequestScope::current(), responses);
    events(responses.map(encode).take_until(shutting_down).boxed())
}

fn recorded(engine: &GraphqlEngine, errors: Vec<ServerError>) -> Vec<ServerError> {
    engine.record_errors(&errors);
    errors
}

/// The single event of an operation that was not executed.
pub fn rejected(errors: Vec<ServerError>) -> Response {
    events(once(encode_errors(errors).into()))
}

fn once(response: EncodedResponse) -> BoxStream<'static, EncodedResponse> {
    stream::iter([response]).boxed()
}

fn events(responses: BoxStream<'static, EncodedResponse>) -> Response {
    let events = stream::unfold(Some(responses), async |responses| {
        let mut responses = responses?;
        Some(match timeout(KEEP_ALIVE_INTERVAL, responses.next()).await {
            Ok(Some(response)) => {
                let event = response.with_envelope("event: next\ndata: ", "\n\n");
                (Bytes::from_owner(event), Some(responses))
            }
            // Browsers ignore an event without data.
            Ok(None) => (Bytes::from_static(b"event: complete\ndata:\n\n"), None),
            Err(_) => (Bytes::from_static(b":\n\n"), Some(responses)),
        })
    });
    let mut response = Body::from_stream(events.map(Ok::<_, Infallible>)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend([X_ACCEL_BUFFERING]);
    response
}
