//! Snowflake ids: the 64-bit ids of rows, which the service generates.
//!
//! From the high bits to the low: 42 bits of milliseconds since 1970 (until 2109), 8 bits of
//! instance id, 13 bits of sequence number. An id contains the time of its creation, so the order
//! of ids is the order of creation and an id is a complete cursor. Instances generate ids without
//! coordination. Written by hand because existing crates wait or fail while the clock is behind the
//! last id, and cannot start above an existing id; see `docs/adr/0001-snowflake-ids.md`.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

use crate::clock;
use crate::ids::InstanceId;

const INSTANCE_BITS: u32 = 8;
const SEQUENCE_BITS: u32 = 13;
const SEQUENCE_MASK: i64 = (1 << SEQUENCE_BITS) - 1;

/// The instance id of commands, such as imports, seeds and `token create`.
pub const COMMAND_INSTANCE: u8 = u8::MAX;

/// Generates the ids of this instance, each larger than the one before.
#[derive(Debug)]
pub struct IdGenerator {
    instance: InstanceId,
    /// Milliseconds and sequence number of the last id.
    ///
    /// It never decreases, even if the clock is set back. A sequence number that overflows carries
    /// over to the next millisecond.
    last: AtomicI64,
}

impl IdGenerator {
    /// A generator of ids above `max_id`, the largest id in use.
    ///
    /// Ids therefore increase even if the clock was set back between two starts.
    #[must_use]
    pub fn new(instance: InstanceId, max_id: i64) -> Self {
        let last = AtomicI64::new(pack(millis(max_id), max_id & SEQUENCE_MASK));
        Self { instance, last }
    }

    /// A new id with the current time.
    pub fn next(&self) -> i64 {
        let now = pack(clock::now().timestamp_millis(), 0);
        let before = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)))
            .unwrap_or_else(|last| last);
        let packed = now.max(before + 1);
        compose(packed >> SEQUENCE_BITS, self.instance.number(), packed & SEQUENCE_MASK)
    }
}

/// The time that an id contains, with a resolution of 1 ms.
#[must_use]
pub fn timestamp_of(id: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis(id)).unwrap_or_default()
}

/// The smallest id of the given time, for comparisons.
#[must_use]
pub fn first_id_at(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis().clamp(0, (1 << 42) - 1) << (INSTANCE_BITS + SEQUENCE_BITS)
}

/// The id that a command assigns for the given time.
///
/// The caller chooses different values of `sequence` (0 to 8191) for the ids of one millisecond.
/// `None` if the time is before 1970 or after 2109, or `sequence` is too large.
#[must_use]
pub fn command_id_at(time: DateTime<Utc>, sequence: u16) -> Option<i64> {
    let millis = time.timestamp_millis();
    let fits = (0..1 << 42).contains(&millis) && i64::from(sequence) <= SEQUENCE_MASK;
    fits.then(|| compose(millis, COMMAND_INSTANCE, i64::from(sequence)))
}

const fn millis(id: i64) -> i64 {
    id >> (INSTANCE_BITS + SEQUENCE_BITS)
}

/// The form of [`IdGenerator::last`], without an instance id.
const fn pack(millis: i64, sequence: i64) -> i64 {
    millis << SEQUENCE_BITS | sequence
}

fn compose(millis: i64, instance: u8, sequence: i64) -> i64 {
    millis << (INSTANCE_BITS + SEQUENCE_BITS) | i64::from(instance) << SEQUENCE_BITS | sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_when_the_clock_is_behind_the_largest_id() {
        let future = command_id_at(Utc::now() + chrono::TimeDelta::hours(1), 8190).unwrap();
        let ids = IdGenerator::new(InstanceId::fixed(3), future);
        let mut last = 0;
        for _ in 0..20_000 {
            let id = ids.next();
            assert!(id > last, "{id} follows {last}");
            assert!(timestamp_of(id) >= timestamp_of(future));
            last = id;
        }
    }

    #[test]
    fn concurrent_threads_generate_distinct_ids() {
        let ids = IdGenerator::new(InstanceId::fixed(0), 0);
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..5_000).map(|_| ids.next()).collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect::<std::collections::HashSet<_>>()
        });
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn id_contains_its_time() {
        let time = DateTime::parse_from_rfc3339("2001-02-03T04:05:06.789Z").unwrap();
        let id = command_id_at(time.to_utc(), 7).unwrap();
        assert_eq!(timestamp_of(id), time);
        let first = first_id_at(time.to_utc());
        assert_eq!(timestamp_of(first), time);
        assert!(timestamp_of(first - 1) < time);
        assert!(command_id_at(time.to_utc(), 8).unwrap() > id);
        assert_eq!(command_id_at(DateTime::UNIX_EPOCH - chrono::TimeDelta::seconds(1), 0), None);
        assert_eq!(command_id_at(time.to_utc(), 8192), None);
    }
}
