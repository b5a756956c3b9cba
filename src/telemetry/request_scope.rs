//! The scope of a request, or of an operation on a WebSocket.
//!
//! It is a task-local value with a random id and a counter of SQL statements. The id is a field of
//! each log line of the request, and is part of `INTERNAL` errors, so that an operator finds the
//! cause of a client's error in the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::Instrument as _;
use tracing::field::Empty;

tokio::task_local! {
    static SCOPE: Arc<RequestScope>;
}

/// The scope; its `Display` is the id as 16 hexadecimal digits.
#[derive(Debug)]
pub struct RequestScope {
    id: u64,
    statements: AtomicU64,
}

impl RequestScope {
    /// A scope with a new id.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { id: rand::random(), statements: AtomicU64::new(0) })
    }

    /// The scope of the current task, or a new scope if it has none.
    #[must_use]
    pub fn current() -> Arc<Self> {
        SCOPE.try_with(Arc::clone).unwrap_or_else(|_| Self::new())
    }

    /// Number of SQL statements in this scope so far.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Makes `work` run in this scope and in the current span, also on another task.
    pub fn resume<T>(self: Arc<Self>, work: impl Future<Output = T>) -> impl Future<Output = T> {
        SCOPE.scope(self, work.in_current_span())
    }

    /// Runs `work` in this scope, and in a span of its own.
    pub async fn scope<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        let span =
            tracing::info_span!("request", id = %self, operation = Empty, statements = Empty);
        SCOPE.scope(self, work.instrument(span)).await
    }
}

/// The start of an operation in the current scope.
#[derive(Debug)]
pub struct OperationTimer {
    started_at: Instant,
    scope: Arc<RequestScope>,
    /// The scope's statements before the operation.
    statements_before: u64,
}

impl OperationTimer {
    #[must_use]
    pub fn start() -> Self {
        let scope = RequestScope::current();
        Self { started_at: Instant::now(), statements_before: scope.statements(), scope }
    }

    /// The time and the number of SQL statements since the start.
    #[must_use]
    pub fn elapsed(&self) -> (Duration, u64) {
        (self.started_at.elapsed(), self.scope.statements() - self.statements_before)
    }
}

/// The id as 16 hexadecimal digits.
impl fmt::Display for RequestScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.id)
    }
}

/// Counts an SQL statement in the current scope, if there is one.
pub fn count_statement() {
    let _ = SCOPE.try_with(|scope| scope.statements.fetch_add(1, Ordering::Relaxed));
}
