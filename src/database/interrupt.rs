//! Interrupts statements of SQLite whose transaction was abandoned.
//!
//! SQLite has no timeout of statements, and the driver runs a statement to its end although its
//! request was answered or its client has left. Therefore each connection has an [`Interrupt`],
//! which the progress handler of SQLite reads. PostgreSQL has `statement_timeout`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the statements of a connection are interrupted. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// Interrupts the statement that is running when the guard is dropped.
#[derive(Debug)]
pub struct InterruptGuard {
    interrupt: Interrupt,
    is_armed: bool,
}

impl Interrupt {
    /// Whether a statement must end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Guards a transaction that has just begun on the connection.
    ///
    /// The driver executes one command after the other, so an interrupted statement has ended.
    pub fn guard(&self) -> InterruptGuard {
        self.0.store(false, Ordering::Relaxed);
        InterruptGuard { interrupt: self.clone(), is_armed: true }
    }
}

impl InterruptGuard {
    /// Lets the transaction end by itself.
    pub fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        if self.is_armed {
            self.interrupt.0.store(true, Ordering::Relaxed);
        }
    }
}
