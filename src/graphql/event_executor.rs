//! Executes the responses to events on threads of their own.
//!
//! An event may have thousands of subscribers, and their responses keep all cores busy. On the
//! threads of requests, a request would wait behind the queued responses each time that it waits
//! for its connection or for the database. With threads of their own, the operating system shares
//! the cores between both.

use std::io;
use std::num::NonZero;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

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
    /// When the system starts no more threads.
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("rookery-events")
            .enable_all()
            .build()?;
        Ok(Self {
            permits: FairSemaphore::new(CONCURRENT_EVENTS_PER_CORE * cores, usize::MAX),
            runtime: Some(runtime),
        })
    }

    /// Runs `response` when it is the turn of `network`, in the caller's scope.
    ///
    /// It is aborted when the caller is dropped. `None` if it panics.
    pub async fn run<T: Send + 'static>(
        &self,
        network: ClientNetwork,
        response: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let _permit = self.permits.acquire(network, 0, Duration::MAX).await.ok()?;
        let response = RequestScope::current().scope(response);
        AbortOnDropHandle::new(self.runtime.as_ref()?.spawn(response)).await.ok()
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
        let response =
            executor.run(ClientNetwork::default(), async move { receiver.recv_timeout(TIMEOUT) });
        let (received, _) = join(response, async { sender.send(7) }).await;
        assert_eq!(received, Some(Ok(7)));
    }

    #[tokio::test]
    async fn response_is_aborted_with_its_caller() {
        let executor = EventExecutor::start().unwrap();
        let (alive, mut is_alive) = tokio::sync::mpsc::channel::<()>(1);
        let response = executor.run(ClientNetwork::default(), async move {
            let _ = alive.send(()).await;
            pending::<()>().await;
        });
        let mut response = Box::pin(response);
        tokio::select! {
            _ = &mut response => panic!("the response has ended"),
            started = is_alive.recv() => assert_eq!(started, Some(())),
        }
        drop(response);
        assert_eq!(is_alive.recv().await, None);
    }
}
