//! The id of this instance, part of every row id that it generates.
//!
//! How it is claimed on PostgreSQL is in `database/instance_id.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The id of this instance, 0 to 254, or 255 for commands.
///
/// Clones share it, so a new id reaches all of them.
#[derive(Clone, Debug)]
pub struct InstanceId(Arc<AtomicU8>);

impl InstanceId {
    /// An id that is not claimed: the caller ensures that no other instance has it.
    #[must_use]
    pub fn fixed(number: u8) -> Self {
        Self(Arc::new(AtomicU8::new(number)))
    }

    /// The id as a number.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the id in all clones.
    pub fn set(&self, number: u8) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// Whether another clone of this id exists.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}
