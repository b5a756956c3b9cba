//! Answers as server-sent events: the protocol graphql-sse in its mode of distinct connections, where each
//! request has a connection of its own. `next` with each answer, `complete` at the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::{self, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::execute::{Answer, Asker, Operation, errors_as_json, on_its_own};
use super::guard::refuse;
use super::{NOSNIFF, Shared, stopped};
use crate::auth::Viewer;
use crate::schema::code;

/// How often something is sent when there is nothing to say, so that nobody in between hangs up.
const ALIVE: Duration = Duration::from_secs(12);

/// A proxy that gathers what it passes on would keep events back; nginx and others heed this.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// # Errors
/// Why it did not come to run.
pub async fn answer(
    operation: Operation,
    shared: Shared,
    asker: Asker,
    writing: &AtomicBool,
) -> Result<Response, Vec<ServerError>> {
    let mut stopping = shared.stopping.subscribe();
    let answers: BoxStream<Vec<u8>> = if operation.ty() == OperationType::Subscription {
        let most = shared.limits.max_user_sockets;
        let place = shared.sockets.enter(asker.viewer.as_ref().map(Viewer::id), most);
        let Some(place) = place else {
            let message = format!("A user has no more than {most} sockets and streams at a time.");
            return Err(vec![refuse(code::TOO_MANY_OPERATIONS, message)]);
        };
        let mut answers = operation.stream(shared, asker).await.peekable();
        // What is wrong with the request is known at once.
        if let Some(Some(Err(errors))) = Pin::new(&mut answers).peek().now_or_never() {
            return Err(errors.clone());
        }
        let stopped = Box::pin(async move { stopped(&mut stopping).await });
        let json = move |answer: Result<Answer, _>| {
            let _open = &place;
            match answer {
                Ok(answer) => answer.into_json(),
                Err(errors) => errors_as_json(errors),
            }
        };
        on_its_own(answers.boxed()).map(json).take_until(stopped).boxed()
    } else {
        let executed = operation.run(&shared, asker, writing).await?;
        stream::once(future::ready(executed.answer.into_json())).boxed()
    };
    let next = |json: Vec<u8>| Event::default().event("next").data(String::from_utf8_lossy(&json));
    let complete = stream::once(future::ready(Event::default().event("complete").data("")));
    let events = answers.map(next).chain(complete);
    let events = Sse::new(events.map(Ok::<_, Infallible>));
    let mut response = events.keep_alive(KeepAlive::new().interval(ALIVE)).into_response();
    response.headers_mut().extend([NOSNIFF, UNBUFFERED]);
    Ok(response)
}
