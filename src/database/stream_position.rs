//! A position in the event stream: which transactions were visible.
//!
//! An event has the id of its transaction, and PostgreSQL does not commit transactions in the order
//! of their ids. One number therefore cannot say what a subscriber has received. A position has the
//! form of PostgreSQL's `pg_snapshot`: a last event, and the transactions before it that were still
//! in progress. On SQLite, which has one writer, none is in progress.

use entity::event;

/// The set of transactions whose events were visible in a snapshot.
///
/// It contains all ids up to the last visible event, except those in progress. It does not contain
/// larger ids, even if their transactions have ended. After a crash, PostgreSQL reuses the ids of
/// transactions that wrote nothing to the WAL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    /// Ascending ids, all below that of the last event.
    in_progress: Vec<i64>,
    last: EventRef,
}

/// Identifies an event.
///
/// The time tells it from an event with the same id after a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventRef {
    /// Id of the transaction that wrote the event.
    pub txn: i64,
    /// Time of the event in microseconds since 1970-01-01 00:00 UTC.
    pub at: i64,
}

/// Maximum number of transactions in progress that a cursor may have.
///
/// A server would need as many concurrent writers, so a cursor with more was not issued by Rookery.
const MAX_IN_PROGRESS: usize = 1_024;

impl From<&event::Model> for EventRef {
    fn from(event: &event::Model) -> Self {
        Self { txn: event.txn, at: event.at.timestamp_micros() }
    }
}

impl StreamPosition {
    /// The position of a snapshot of PostgreSQL.
    ///
    /// `snapshot` is the text form of `pg_snapshot`, `xmin:xmax:xip_list`. `last` is the visible
    /// event with the largest transaction id. For SQLite, `snapshot` is `::`, which has no
    /// transactions in progress. `None` if the text is not valid.
    #[must_use]
    pub fn new(snapshot: &str, last: EventRef) -> Option<Self> {
        let ids = snapshot.split(':').nth(2)?.split(',').filter(|txn| !txn.is_empty());
        let mut in_progress = ids.map(str::parse).collect::<Result<Vec<i64>, _>>().ok()?;
        in_progress.retain(|txn| *txn < last.txn);
        in_progress.sort_unstable();
        Some(Self { in_progress, last })
    }

    /// Whether the events of a transaction were visible.
    #[must_use]
    pub fn contains(&self, txn: i64) -> bool {
        txn <= self.last.txn && self.in_progress.binary_search(&txn).is_err()
    }

    /// The smallest transaction id that the position does not contain.
    #[must_use]
    pub fn first_not_contained(&self) -> i64 {
        self.in_progress.first().copied().unwrap_or(self.next_txn())
    }

    /// The id after that of the last event.
    ///
    /// The position contains neither it nor any larger id.
    #[must_use]
    pub fn next_txn(&self) -> i64 {
        self.last.txn + 1
    }

    /// The ids below [`Self::next_txn`] that the position does not contain, ascending.
    #[must_use]
    pub fn in_progress(&self) -> &[i64] {
        &self.in_progress
    }

    /// The visible event with the largest transaction id.
    #[must_use]
    pub fn last(&self) -> EventRef {
        self.last
    }

    /// The position after all events up to `delivered`, between `self` and `target`.
    ///
    /// Events are delivered in the order of their transaction ids.
    #[must_use]
    pub fn advance_to(&self, delivered: EventRef, target: &Self) -> Self {
        let txn = delivered.txn;
        let remaining = self.in_progress.iter().filter(|id| **id > txn || !target.contains(**id));
        // Transactions in progress at `target` that began after `self`.
        let started_since =
            target.in_progress.iter().filter(|id| (self.next_txn()..=txn).contains(*id));
        let in_progress = remaining.chain(started_since).copied().collect();
        Self { in_progress, last: self.last.max(delivered) }
    }

    /// The binary form in cursors.
    ///
    /// Big-endian 64-bit integers: the transactions in progress, the id and the time of the last
    /// event.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let EventRef { txn, at } = self.last;
        self.in_progress.iter().chain(&[txn, at]).flat_map(|number| number.to_be_bytes()).collect()
    }

    /// The position that [`Self::to_bytes`] encoded; `None` if the bytes are not valid.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers: Vec<i64> =
            numbers.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect();
        let [at, txn] = [numbers.pop()?, numbers.pop()?];
        let in_progress = numbers;
        let is_ascending = in_progress.iter().chain([&txn]).is_sorted_by(|a, b| a < b);
        let is_positive = *in_progress.first().unwrap_or(&txn) > 0;
        let is_valid = rest.is_empty() && is_ascending && is_positive && txn < i64::MAX;
        let is_valid = is_valid && in_progress.len() <= MAX_IN_PROGRESS;
        is_valid.then_some(Self { in_progress, last: EventRef { txn, at } })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(snapshot: &str, last_txn: i64) -> Option<StreamPosition> {
        StreamPosition::new(snapshot, EventRef { txn: last_txn, at: 0 })
    }

    #[test]
    fn position_contains_only_committed_transactions_up_to_the_last_event() {
        let position = self::position("10:20:10,14,19", 17).unwrap();
        let unseen: Vec<i64> = (1..25).filter(|txn| !position.contains(*txn)).collect();
        assert_eq!(unseen, [10, 14, 18, 19, 20, 21, 22, 23, 24]);
        assert_eq!((position.first_not_contained(), position.next_txn()), (10, 18));
        assert_eq!(self::position("7:7:", 6).unwrap().first_not_contained(), 7);
        for malformed in ["", "7", "7:7", "7:9:8,y"] {
            assert_eq!(self::position(malformed, 6), None, "{malformed}");
        }
    }

    /// After a crash, PostgreSQL reuses ids of transactions that wrote nothing to WAL.
    #[test]
    fn ended_transaction_after_the_last_event_is_not_contained() {
        let before = position("728:728:", 726).unwrap();
        let after = position("728:728:", 727).unwrap();
        assert!(!before.contains(727) && after.contains(727));
    }

    #[test]
    fn malformed_bytes_are_rejected() {
        let bytes =
            |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
        assert_eq!(
            StreamPosition::from_bytes(&bytes(&[3, 9, -7])).map(|position| position.next_txn()),
            Some(10)
        );
        let malformed: [&[i64]; 7] =
            [&[], &[9], &[0, 0], &[-9, 9, 0], &[9, 9, 0], &[9, 3, 0], &[i64::MAX, 0]];
        let too_many: Vec<i64> = (1..1_028).collect();
        assert!(StreamPosition::from_bytes(&bytes(&too_many[1..])).is_some());
        let other = [vec![0; 7], vec![1; 17], bytes(&too_many)];
        for malformed in malformed.into_iter().map(bytes).chain(other) {
            assert_eq!(StreamPosition::from_bytes(&malformed), None, "{malformed:?}");
        }
    }

    proptest! {
        /// Resumes after every event of every batch.
        ///
        /// Transactions have a begin and an end, and snapshots are taken at some times. Events are
        /// delivered from one snapshot to the next. A subscriber that stops after any event and
        /// resumes from there receives exactly the remaining events.
        #[test]
        fn resuming_yields_exactly_the_missed_events(
            durations in prop::collection::vec(1_i64..30, 1..25),
            mut times in prop::collection::vec(0_i64..60, 2..6),
        ) {
            times.sort_unstable();
            // Transaction n begins at time n.
            let end = |txn: i64| txn + durations[usize::try_from(txn).unwrap() - 1];
            let last = i64::try_from(durations.len()).unwrap();
            let event = |txn| EventRef { txn, at: txn };
            let at = |time: i64| {
                let next = (time + 1).clamp(1, last + 1);
                let (mut in_progress, visible) =
                    (1..next).partition::<Vec<_>, _>(|txn| end(*txn) > time);
                // The default stands for the event that every database has from the start.
                let last = visible.last().map_or(EventRef::default(), |txn| event(*txn));
                in_progress.retain(|txn| *txn < last.txn);
                StreamPosition { in_progress, last }
            };
            let between = |before: &StreamPosition, now: &StreamPosition| -> Vec<i64> {
                (1..=last).filter(|txn| now.contains(*txn) && !before.contains(*txn)).collect()
            };
            for pair in times.windows(2) {
                let (before, now) = (at(pair[0]), at(pair[1]));
                let events = between(&before, &now);
                for (delivered, txn) in events.iter().enumerate() {
                    let here = before.advance_to(event(*txn), &now);
                    let decoded = StreamPosition::from_bytes(&here.to_bytes());
                    prop_assert_eq!(decoded.as_ref(), Some(&here));
                    for time in pair[1]..62 {
                        let later = at(time);
                        let mut expected = between(&before, &later);
                        expected.retain(|txn| !events[..=delivered].contains(txn));
                        prop_assert_eq!(between(&here, &later), expected);
                    }
                }
            }
        }
    }
}
