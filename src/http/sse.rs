//! Answers as server-sent events: the protocol graphql-sse in its mode of distinct connections, where each
//! request has a connection of its own. `next` with each answer, `complete` at the end.

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

use super::answer::{Answer, Told, errors_as_json};
use super::execute::{Asker, Operation};
use super::task::on_its_own;
use super::{NOSNIFF, Shared, guard, set_lsn, stopped};
use crate::schema::code;
use crate::trace::Work;

/// How often something is sent when there is nothing to say, so that nobody in between hangs up.
const ALIVE: Duration = Duration::from_secs(12);

/// A proxy that gathers what it passes on would keep events back; nginx and others heed this.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

pub async fn answer(
    operation: Operation,
    shared: Shared,
    asker: Asker,
    writing: &AtomicBool,
) -> Response {
    if operation.ty() != OperationType::Subscription {
        return match operation.run(&shared, asker, writing).await {
            Ok(executed) => {
                let mut response = events(once(executed.answer.tell()));
                set_lsn(&mut response, executed.lsn);
                response
            }
            Err(errors) => {
                shared.metrics.errors(&errors);
                refused(errors)
            }
        };
    }
    let place = match shared.sockets.open(asker.who(), &shared.limits) {
        Ok(place) => place,
        Err(message) => {
            let errors = vec![guard::refuse(code::TOO_MANY_OPERATIONS, message)];
            shared.metrics.errors(&errors);
            return refused(errors);
        }
    };
    let metrics = Arc::clone(&shared.metrics);
    let mut stopping = shared.stopping.subscribe();
    let stopped = Box::pin(async move { stopped(&mut stopping).await });
    let answers = operation.stream(shared, asker).await;
    let json = move |answer: Result<Answer, Vec<ServerError>>| {
        let _open = &place;
        match answer {
            Ok(answer) => answer.tell(),
            Err(errors) => {
                metrics.errors(&errors);
                errors_as_json(errors).into()
            }
        }
    };
    events(on_its_own(Work::current(), answers).map(json).take_until(stopped).boxed())
}

/// The one event of a request that did not come to run.
pub fn refused(errors: Vec<ServerError>) -> Response {
    events(once(errors_as_json(errors).into()))
}

fn once(told: Told) -> BoxStream<'static, Told> {
    stream::iter([told]).boxed()
}

fn events(answers: BoxStream<'static, Told>) -> Response {
    let events = stream::unfold(Some(answers), async |answers| {
        let mut answers = answers?;
        Some(match timeout(ALIVE, answers.next()).await {
            Ok(Some(told)) => {
                (Bytes::from(told.framed("event: next\ndata: ", "\n\n")), Some(answers))
            }
            // Browsers do not hear an event without any data.
            Ok(None) => (Bytes::from_static(b"event: complete\ndata:\n\n"), None),
            Err(_) => (Bytes::from_static(b":\n\n"), Some(answers)),
        })
    });
    let mut response = Body::from_stream(events.map(Ok::<_, Infallible>)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend([NOSNIFF, UNBUFFERED]);
    response
}
