//! What is noted of each operation that ran, be it to its end or until it was given up: in the log, its span, the metrics.

use tracing::Span;

use super::Shared;
use super::execute::Operation;
use crate::trace::Began;

/// An operation that is noted when this is dropped.
pub struct Noted<'a> {
    operation: &'a Operation,
    shared: &'a Shared,
    began: Began,
    ran: bool,
}

impl<'a> Noted<'a> {
    pub fn new(operation: &'a Operation, shared: &'a Shared, began: Began) -> Self {
        Self { operation, shared, began, ran: true }
    }

    /// Notes it, unless it turned out not to be valid: then its fields may have any name.
    pub fn end(mut self, ran: bool) {
        self.ran = ran;
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if self.ran {
            self.operation.note(self.shared, &self.began);
        }
    }
}

impl Operation {
    /// How long it took, and how many statements.
    pub fn note(&self, shared: &Shared, began: &Began) {
        let (took, statements) = began.took();
        let (name, ty) = (self.name(shared), self.ty());
        shared.metrics.operation(name, ty, (took, statements));
        let span = Span::current();
        span.record("operation", name).record("statements", statements);
        if took >= shared.slow {
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(operation = name, r#type = %ty, milliseconds, statements, "slow");
        }
    }
}
