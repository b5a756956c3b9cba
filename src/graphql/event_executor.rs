//! Executes the responses to events on threads of their own.
//!
//! An event may have thousands of subscribers, whose responses keep all cores busy. On the threads
//! of requests, a request would wait behind the queued responses each time that it waits for its
//! connection or for the database. Responses have threads of their own, so the operating system
//! divides the cores between them and requests.

use std::io;
use std::num::NonZero;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::context::TokioContext;
use tokio_util::task::AbortOnDropHandle;

use super::isolation::log_panic;
use crate::limits::{ClientNetwork, FairSemaphore};
use crate::telemetry::RequestScope;

/// Maximum number of subscriptions per core that respond to events at a time.
///
/// The others wait in turns of their client networks, and hold no memory of a response.
const CONCURRENT_EVENTS_PER_CORE: usize = 2;

/// The threads that respond to events, and the permits to use them.
pub struct EventExecutor {
    permits: FairSemaphore<ClientNetwork>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl EventExecutor {
    /// Starts a thread for each core.
    ///
    /// # Errors
    /// When the runtime cannot be created.
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        // Sockets and timers belong to the runtime of requests.
        let runtime =
            Builder::new_multi_thread().worker_threads(cores).thread_name("events").build()?;
        Ok(Self {
            permits: FairSemaphore::new(CONCURRENT_EVENTS_PER_CORE * cores, usize::MAX),
            runtime: Some(runtime),
        })
    }

    /// Runs a response when it is the turn of `network`.
    ///
    /// It runs in the caller's scope and span, and is aborted when the returned future is dropped.
    /// `None` if it panics, which is logged.
    pub async fn run<F>(
        &self,
        network: ClientNetwork,
        response: impl FnOnce() -> F + Send,
    ) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let permit = self.permits.acquire(network, 0, Duration::MAX).await.ok()?;
        let response = RequestScope::current().resume(response());
        // A connection that the response opens is used by requests later. In the context of their
        // runtime its socket does not depend on the threads of events.
        let response = TokioContext::new(response, Handle::current());
        let task = self.runtime.as_ref()?.spawn(async move {
            let _permit = permit;
            response.await
        });
        let ended = AbortOnDropHandle::new(task).await;
        ended.map_err(|error| error.try_into_panic().map(|panic| log_panic(&*panic))).ok()
    }
}

impl Drop for EventExecutor {
    /// Stops the threads without waiting for them.
    ///
    /// The caller may be a task of a runtime, which must not wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::{join, pending};

    use super::*;

    const TIMEOUT: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn response_that_occupies_its_thread_delays_no_other_task() {
        let executor = EventExecutor::start().unwrap();
        let (sender, receiver) = mpsc::channel();
        let response = executor
            .run(ClientNetwork::default(), || async move { receiver.recv_timeout(TIMEOUT) });
        let (received, _) = join(response, async { sender.send(7) }).await;
        assert_eq!(received, Some(Ok(7)));
    }

    #[tokio::test]
    async fn response_has_the_runtime_and_the_scope_of_its_caller() {
        let executor = EventExecutor::start().unwrap();
        let scope = RequestScope::new();
        let id = scope.to_string();
        let response = scope.scope(executor.run(ClientNetwork::default(), || async {
            // Without a timer, this would panic.
            tokio::time::sleep(Duration::from_millis(1)).await;
            (Handle::current().id(), RequestScope::current().to_string())
        }));
        assert_eq!(response.await, Some((Handle::current().id(), id)));
    }

    #[tokio::test]
    async fn response_is_aborted_with_its_caller_and_keeps_its_permit_until_then() {
        let executor = EventExecutor::start().unwrap();
        let (alive, mut is_alive) = tokio::sync::mpsc::channel::<()>(1);
        let mut response = Box::pin(executor.run(ClientNetwork::default(), || async move {
            let _ = alive.send(()).await;
            pending::<()>().await;
        }));
        tokio::select! {
            _ = &mut response => panic!("the response has ended"),
            started = is_alive.recv() => assert_eq!(started, Some(())),
        }
        assert_eq!(executor.permits.in_use(), 1);
        drop(response);
        assert_eq!(is_alive.recv().await, None);
        while executor.permits.in_use() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn response_that_panics_is_none_and_returns_its_permit() {
        let executor = EventExecutor::start().unwrap();
        let response = executor.run(ClientNetwork::default(), || async { panic!("a bug") });
        assert_eq!(response.await.map(|(): ()| ()), None);
        assert_eq!(executor.permits.in_use(), 0);
    }
}
