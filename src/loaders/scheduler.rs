//! The batch scheduler: decides when the loaders dispatch their pending keys.
//!
//! The resolvers of a request run concurrently in one task and reach the next level of the query
//! one after the other. Keys are therefore held back until no loader has received a key for
//! [`IDLE_POLLS`] polls of the request's task and no earlier batch is in flight. Then all loaders
//! dispatch their keys together. A query thus needs one round of statements per level, whatever
//! the number of rows. Waiting costs no throughput, because the reads of a request share one
//! connection.
//!
//! It runs in front of the `dataloader` crate, which counts polls per loader from the first key on,
//! even while more keys arrive. Each counted poll wakes the request's own task (`yield_once`), so
//! [`poll_inline`], which runs such a task without the runtime, is here too.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// Polls of a request's task without new keys before pending keys are dispatched.
const IDLE_POLLS: usize = 3;

/// The state of a request's batches, shared by its loaders.
#[derive(Debug, Default)]
pub struct BatchScheduler {
    /// Number of keys requested so far.
    requested: AtomicUsize,
    /// Number of rounds dispatched so far.
    rounds: AtomicUsize,
    /// Number of keys that are dispatched and have no result yet.
    in_flight: AtomicUsize,
    /// Notified when `in_flight` drops to 0.
    completed: Notify,
}

impl BatchScheduler {
    /// Waits for the round in which a key is dispatched.
    ///
    /// The round lasts until all of its guards are dropped.
    pub async fn next_round(self: &Arc<Self>) -> InFlight {
        self.requested.fetch_add(1, Ordering::Relaxed);
        let round = self.rounds.load(Ordering::Relaxed);
        while self.rounds.load(Ordering::Relaxed) == round {
            let completed = self.completed.notified();
            if self.in_flight.load(Ordering::Relaxed) > 0 {
                completed.await;
            } else if self.stays_idle(round).await {
                self.rounds.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Whether no key is requested or dispatched for [`IDLE_POLLS`] polls.
    ///
    /// The polls are those of the request's task.
    async fn stays_idle(&self, round: usize) -> bool {
        let requested = self.requested.load(Ordering::Relaxed);
        for _ in 0..IDLE_POLLS {
            yield_once().await;
            if self.rounds.load(Ordering::Relaxed) != round {
                return false;
            }
        }
        self.in_flight.load(Ordering::Relaxed) == 0
            && self.requested.load(Ordering::Relaxed) == requested
    }
}

/// Wakes the request's task and lets its other futures be polled once.
async fn yield_once() {
    let mut has_yielded = false;
    std::future::poll_fn(|cx| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a request, and polls it again at once when it wakes itself.
///
/// The runtime would run other tasks between two such polls, and wake a thread for this one.
pub async fn poll_inline<F: Future>(request: F) -> F::Output {
    let inline = Arc::new(InlineWaker::default());
    let waker = Waker::from(Arc::clone(&inline));
    let mut request = pin!(request);
    std::future::poll_fn(|cx| {
        inline.task.register(cx.waker());
        loop {
            inline.was_woken.store(false, Ordering::SeqCst);
            inline.is_polling.store(true, Ordering::SeqCst);
            let polled = request.as_mut().poll(&mut Context::from_waker(&waker));
            inline.is_polling.store(false, Ordering::SeqCst);
            if polled.is_ready() || !inline.was_woken.load(Ordering::SeqCst) {
                return polled;
            }
        }
    })
    .await
}

/// The waker of [`poll_inline`].
#[derive(Default)]
struct InlineWaker {
    /// Whether the request is being polled.
    is_polling: AtomicBool,
    /// Whether the request was woken since the last poll began.
    was_woken: AtomicBool,
    /// The waker of the task, for wake-ups between polls.
    task: AtomicWaker,
}

impl Wake for InlineWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.was_woken.store(true, Ordering::SeqCst);
        if !self.is_polling.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

/// A dispatched key. It is dropped when the key has its result, or was cancelled.
pub struct InFlight(Arc<BatchScheduler>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.completed.notify_waiters();
        }
    }
}
