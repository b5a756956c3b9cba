//! When batches go out: not before everybody who will ask has asked.
//!
//! Resolvers of one request run side by side in one task and reach the next level one after the
//! other. A key therefore waits until nobody has asked for a few turns and everything asked before
//! is answered; then all waiting keys, of all loaders, go out together. So a query is read level by
//! level, and takes the same statements for one row and for thousands. Nothing is lost by waiting:
//! the reads of one request share one connection.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// Turns without a new key that make a request quiet.
const QUIET_TURNS: usize = 3;

#[derive(Debug, Default)]
pub struct Pace {
    /// Keys asked for so far, by all loaders.
    asked: AtomicUsize,
    /// Rounds of keys that have gone out.
    rounds: AtomicUsize,
    /// Keys that went out and are not answered yet.
    unanswered: AtomicUsize,
    answered: Notify,
}

impl Pace {
    /// Waits for the round that this key goes out with. The round lasts until all its guards are
    /// dropped.
    pub async fn round(self: &Arc<Self>) -> Unanswered {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let round = self.rounds.load(Ordering::Relaxed);
        while self.rounds.load(Ordering::Relaxed) == round {
            let answered = self.answered.notified();
            if self.unanswered.load(Ordering::Relaxed) > 0 {
                answered.await;
            } else if self.is_quiet(round).await {
                self.rounds.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        Unanswered(Arc::clone(self))
    }

    async fn is_quiet(&self, round: usize) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        for _ in 0..QUIET_TURNS {
            turn().await;
            if self.rounds.load(Ordering::Relaxed) != round {
                return false;
            }
        }
        self.unanswered.load(Ordering::Relaxed) == 0 && self.asked.load(Ordering::Relaxed) == asked
    }
}

/// Lets everybody else in the request have a turn.
async fn turn() {
    let mut had = false;
    std::future::poll_fn(|cx| {
        if had {
            return Poll::Ready(());
        }
        had = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a request. Turns are taken on the spot: the runtime would look for other work each time, and wake
/// a thread to look for this one.
pub async fn take_turns<F: Future>(request: F) -> F::Output {
    let turns = Arc::new(Turns::default());
    let waker = Waker::from(Arc::clone(&turns));
    let mut request = pin!(request);
    std::future::poll_fn(|cx| {
        turns.outside.register(cx.waker());
        loop {
            turns.again.store(false, Ordering::SeqCst);
            turns.running.store(true, Ordering::SeqCst);
            let polled = request.as_mut().poll(&mut Context::from_waker(&waker));
            turns.running.store(false, Ordering::SeqCst);
            if polled.is_ready() || !turns.again.load(Ordering::SeqCst) {
                return polled;
            }
        }
    })
    .await
}

#[derive(Default)]
struct Turns {
    /// The request is being polled.
    running: AtomicBool,
    /// Somebody in it has more to do.
    again: AtomicBool,
    outside: AtomicWaker,
}

impl Wake for Turns {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.again.store(true, Ordering::SeqCst);
        if !self.running.load(Ordering::SeqCst) {
            self.outside.wake();
        }
    }
}

/// A key on its way; answered, or given up, when dropped.
pub struct Unanswered(Arc<Pace>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.0.unanswered.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.answered.notify_waiters();
        }
    }
}
