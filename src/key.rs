//! Keys: the 64-bit integers that name every row, made here and never by the database.
//!
//! A key holds the moment it was made, so order by key is order by creation, one integer is a whole
//! cursor, and several instances make keys without asking each other. From the high bits to the
//! low: 42 bits of milliseconds since 1970 (until 2109), 8 bits of node, 13 bits of sequence.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

use crate::database::Node;

const NODE_BITS: u32 = 8;
const SEQUENCE_BITS: u32 = 13;
const SEQUENCE_MASK: i64 = (1 << SEQUENCE_BITS) - 1;

/// The node number of everything that is not a running service: imports, seeds, tokens made by hand.
pub const COMMAND_NODE: u8 = u8::MAX;

/// Makes keys, each larger than the one before, on this node.
#[derive(Debug)]
pub struct Keys {
    node: Node,
    /// Milliseconds and sequence of the last key. A clock set back does not take it back, and a
    /// sequence that runs over borrows from the next millisecond.
    last: AtomicI64,
}

impl Keys {
    /// `above` is the largest key in use, so that a clock set back between two starts does no harm.
    #[must_use]
    pub fn new(node: Node, above: i64) -> Self {
        let last = AtomicI64::new(pack(millis(above), above & SEQUENCE_MASK));
        Self { node, last }
    }

    /// A key for now.
    pub fn next(&self) -> i64 {
        let now = pack(Utc::now().timestamp_millis(), 0);
        let before = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)))
            .unwrap_or_else(|last| last);
        let mine = now.max(before + 1);
        compose(mine >> SEQUENCE_BITS, self.node.number(), mine & SEQUENCE_MASK)
    }
}

/// The moment inside a key, to the millisecond.
#[must_use]
pub fn time_of(key: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis(key)).unwrap_or_default()
}

/// A key for something that happened at `time`. The caller sees to it that `sequence` (13 bits) tells
/// apart what happened in the same millisecond. `None` before 1970 and after 2109.
#[must_use]
pub fn at(time: DateTime<Utc>, sequence: u16) -> Option<i64> {
    let millis = time.timestamp_millis();
    let fits = (0..1 << 42).contains(&millis) && i64::from(sequence) <= SEQUENCE_MASK;
    fits.then(|| compose(millis, COMMAND_NODE, i64::from(sequence)))
}

const fn millis(key: i64) -> i64 {
    key >> (NODE_BITS + SEQUENCE_BITS)
}

const fn pack(millis: i64, sequence: i64) -> i64 {
    millis << SEQUENCE_BITS | sequence
}

fn compose(millis: i64, node: u8, sequence: i64) -> i64 {
    millis << (NODE_BITS + SEQUENCE_BITS) | i64::from(node) << SEQUENCE_BITS | sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_rise_even_when_the_clock_stands_behind() {
        let future = at(Utc::now() + chrono::TimeDelta::hours(1), 8190).unwrap();
        let keys = Keys::new(Node::fixed(3), future);
        let mut last = 0;
        for _ in 0..20_000 {
            let key = keys.next();
            assert!(key > last, "{key} follows {last}");
            assert!(time_of(key) >= time_of(future));
            last = key;
        }
    }

    #[test]
    fn threads_never_get_the_same_key() {
        let keys = Keys::new(Node::fixed(0), 0);
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..5_000).map(|_| keys.next()).collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect::<std::collections::HashSet<_>>()
        });
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn a_key_holds_its_time() {
        let time = DateTime::parse_from_rfc3339("2001-02-03T04:05:06.789Z").unwrap();
        let key = at(time.to_utc(), 7).unwrap();
        assert_eq!(time_of(key), time);
        assert!(at(time.to_utc(), 8).unwrap() > key);
        assert_eq!(at(DateTime::UNIX_EPOCH - chrono::TimeDelta::seconds(1), 0), None);
        assert_eq!(at(time.to_utc(), 8192), None);
    }
}
