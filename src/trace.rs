//! One piece of work for a client: a request, or an operation on a socket. Its number stands in the log and in what the
//! client is told when something goes wrong here; the SQL statements that it takes are counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::Instrument as _;
use tracing::field::Empty;

tokio::task_local! {
    static WORK: Arc<Work>;
}

#[derive(Debug)]
pub struct Work {
    number: u64,
    statements: AtomicU64,
}

impl Work {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { number: rand::random(), statements: AtomicU64::new(0) })
    }

    /// What is going on here, or something new.
    #[must_use]
    pub fn current() -> Arc<Self> {
        WORK.try_with(Arc::clone).unwrap_or_else(|_| Self::new())
    }

    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Does something as a part of it.
    pub async fn within<T>(self: Arc<Self>, part: impl Future<Output = T>) -> T {
        let span =
            tracing::info_span!("request", id = %self, operation = Empty, statements = Empty);
        WORK.scope(self, part.instrument(span)).await
    }
}

/// When something began that is a part of a piece of work.
#[derive(Debug)]
pub struct Began {
    at: Instant,
    work: Arc<Work>,
    /// Of what was there before it.
    statements: u64,
}

impl Began {
    #[must_use]
    pub fn now() -> Self {
        let work = Work::current();
        Self { at: Instant::now(), statements: work.statements(), work }
    }

    /// How long it has taken, and how many statements.
    #[must_use]
    pub fn took(&self) -> (Duration, u64) {
        (self.at.elapsed(), self.work.statements() - self.statements)
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.number)
    }
}

/// Counts a statement of what is going on here, if anything is.
pub fn count_statement() {
    let _ = WORK.try_with(|work| work.statements.fetch_add(1, Ordering::Relaxed));
}
