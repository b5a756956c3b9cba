//! Work that goes wrong, or takes its time, without anybody else having to suffer for it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::ServerError;
use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::execute::refusal;
use crate::error::Error;
use crate::trace::Work;

/// A panic is our mistake: it ends what it happens in, and nothing else.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, ServerError> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        panicked(&*panic);
        refusal(Error::Internal)
    })
}

/// Logs what a panic said.
pub fn panicked(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    tracing::error!(message, "a request panicked");
}

/// A stream that does its work on a task of its own, one item ahead: who is slow to take them keeps no connection to the
/// database, and no lock, in the middle of one.
pub fn on_its_own<T: Send + 'static>(
    work: Arc<Work>,
    mut items: BoxStream<'static, T>,
) -> BoxStream<'static, T> {
    let (sender, receiver) = mpsc::channel(1);
    let task = tokio::spawn(work.within(async move {
        while let Some(item) = items.next().await {
            if sender.send(item).await.is_err() {
                break;
            }
        }
    }));
    let all = (receiver, AbortOnDrop(task.abort_handle()));
    stream::unfold(all, async |(mut receiver, task)| {
        Some((receiver.recv().await?, (receiver, task)))
    })
    .boxed()
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{code, code_of};

    #[tokio::test]
    async fn a_panic_is_an_error_with_a_number() {
        let work = Work::new();
        let number = work.to_string();
        let error = work.within(caught(async { panic!("a resolver panics") })).await;
        let error: ServerError = error.map(|(): ()| ()).unwrap_err();
        assert_eq!(code_of(&error), Some(code::INTERNAL));
        let extensions = error.extensions.unwrap();
        assert_eq!(extensions.get("requestId"), Some(&number.into()));
        assert!(!error.message.contains("resolver"));
        assert_eq!(caught(async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_stream_is_one_item_ahead_and_ends_with_its_reader() {
        let (sender, mut alive) = mpsc::channel::<()>(1);
        let items = stream::unfold((0, sender), async |(n, sender)| Some((n, (n + 1, sender))));
        let mut items = on_its_own(Work::new(), items.boxed());
        assert_eq!((items.next().await, items.next().await), (Some(0), Some(1)));
        drop(items);
        assert_eq!(alive.recv().await, None);
    }
}
