//! Records executed operations in spans and metrics, and slow ones in the log.

use tracing::Span;

use super::admission::Operation;
use crate::telemetry::OperationTimer;

/// Records an operation on drop, so that a cancelled operation is recorded too.
pub struct OperationRecorder<'a> {
    operation: &'a Operation,
    timer: &'a OperationTimer,
    was_executed: bool,
}

impl<'a> OperationRecorder<'a> {
    pub fn new(operation: &'a Operation, timer: &'a OperationTimer) -> Self {
        Self { operation, timer, was_executed: true }
    }

    /// Records the operation now, if it was executed.
    ///
    /// An operation that was not executed may have been rejected by validation. Its fields may then
    /// have names that the client chose.
    pub fn finish(mut self, was_executed: bool) {
        self.was_executed = was_executed;
    }
}

impl Drop for OperationRecorder<'_> {
    fn drop(&mut self) {
        if self.was_executed {
            self.operation.record(self.timer);
        }
    }
}

impl Operation {
    /// Records the time and the SQL statements since `timer` was started.
    pub(super) fn record(&self, timer: &OperationTimer) {
        let engine = &self.requester.engine;
        let (elapsed, statements) = timer.elapsed();
        let (name, ty) = (self.name(), self.ty());
        engine.metrics.record_operation(name, &ty.to_string(), elapsed, statements);
        let span = Span::current();
        span.record("operation", name).record("statements", statements);
        if elapsed >= engine.slow_threshold {
            let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(operation = name, r#type = %ty, milliseconds, statements, "slow operation");
        }
    }
}
