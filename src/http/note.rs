//! What is noted of each operation that ran, be it to its end or until it was given up: in the log, its span, the metrics.

use std::sync::Arc;
use std::time::Instant;

use tracing::Span;

use super::Shared;
use super::execute::Operation;
use crate::trace::Work;

/// When an operation began.
pub struct Began {
    at: Instant,
    work: Arc<Work>,
    /// Of what was there before it in the same piece of work.
    statements: u64,
}

/// An operation that is noted when this is dropped.
pub struct Noted<'a> {
    operation: &'a Operation,
    shared: &'a Shared,
    began: Began,
    ran: bool,
}

impl Began {
    pub fn now() -> Self {
        let work = Work::current();
        Self { at: Instant::now(), statements: work.statements(), work }
    }
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
        let (took, statements) = (began.at.elapsed(), began.work.statements() - began.statements);
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
