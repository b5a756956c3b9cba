//! The phases of a shutdown, and the tasks that it waits for.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Coordinates a shutdown in two phases: the server drains, then it shuts down.
///
/// Clones share the phases and the tracked tasks.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    shutting_down: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Starts the first phase: requests are served as before, and readiness fails.
    ///
    /// A load balancer then sends new requests elsewhere.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Starts the second phase: requests in flight finish.
    ///
    /// Everything that would not end by itself is ended.
    pub fn shut_down(&self) {
        self.draining.cancel();
        self.shutting_down.cancel();
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down.is_cancelled()
    }

    /// Resolves when the second phase starts.
    pub fn shutting_down(&self) -> WaitForCancellationFuture<'_> {
        self.shutting_down.cancelled()
    }

    /// A token that the shutdown waits for until it is dropped.
    pub fn track(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// Waits for all tracked tasks, at most for `timeout`.
    ///
    /// Returns whether they ended in time.
    pub async fn wait(&self, timeout: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(timeout, self.tasks.wait()).await.is_ok()
    }
}
