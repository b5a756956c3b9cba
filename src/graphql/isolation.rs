//! Isolation of a request's failures and delays from the rest of the server.
//!
//! A panic in a resolver becomes the error `INTERNAL` of its operation. The events of a
//! subscription are resolved on a task of their own, so that a client that reads slowly does not
//! suspend a resolver that holds a database connection.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::ServerError;
use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::error::Error;
use crate::schema::server_error;
use crate::telemetry::RequestScope;

/// Runs `work` and turns a panic into an error.
///
/// # Errors
/// `INTERNAL` after a panic, whose message is logged and not sent.
pub async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, ServerError> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        log_panic(&*panic);
        server_error(Error::Internal)
    })
}

/// Logs the message of a panic.
pub fn log_panic(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    tracing::error!(message, "a request panicked");
}

/// Produces the items of a stream on a task of its own, with a buffer of one item.
///
/// A consumer that is slow suspends the task between two items only. While it waits, the task holds
/// no database connection and no lock. Dropping the returned stream aborts the task.
pub fn spawn_buffered<T: Send + 'static>(
    scope: Arc<RequestScope>,
    mut items: BoxStream<'static, T>,
) -> BoxStream<'static, T> {
    // The channel has room for 32 items at once, so they are boxed.
    let (sender, receiver) = mpsc::channel::<Box<T>>(1);
    let task = tokio::spawn(scope.scope(async move {
        while let Some(item) = items.next().await {
            if sender.send(Box::new(item)).await.is_err() {
                break;
            }
        }
    }));
    let state = (receiver, AbortOnDropHandle::new(task));
    stream::unfold(state, async |(mut receiver, task)| {
        Some((*receiver.recv().await?, (receiver, task)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{code, code_of};

    #[tokio::test]
    async fn panic_becomes_an_internal_error_with_the_request_id() {
        let scope = RequestScope::new();
        let request_id = scope.to_string();
        let error = scope.scope(catch_panic(async { panic!("a resolver panics") })).await;
        let error: ServerError = error.map(|(): ()| ()).unwrap_err();
        assert_eq!(code_of(&error), Some(code::INTERNAL));
        let extensions = error.extensions.unwrap();
        assert_eq!(extensions.get("requestId"), Some(&request_id.into()));
        assert!(!error.message.contains("resolver"));
        assert_eq!(catch_panic(async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn buffered_stream_is_dropped_with_its_consumer() {
        let (sender, mut alive) = mpsc::channel::<()>(1);
        let items = stream::unfold((0, sender), async |(n, sender)| Some((n, (n + 1, sender))));
        let mut items = spawn_buffered(RequestScope::new(), items.boxed());
        assert_eq!((items.next().await, items.next().await), (Some(0), Some(1)));
        drop(items);
        assert_eq!(alive.recv().await, None);
    }
}
