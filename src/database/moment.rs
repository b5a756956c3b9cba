//! A moment of the database, told by the transactions that it has seen. Events bear the number of their
//! transaction, and transactions are not over in the order of their numbers; so what somebody has been told of
//! is never just a number.

use entity::event;

/// Which events had happened by then: all up to the last, but for those of transactions that were open. On
/// SQLite, where one is over before the next begins, none is.
///
/// What was not over, and the numbers after the last event, are unseen: a crash gives numbers out again that
/// were taken by transactions without a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// In order, all before the last.
    open: Vec<i64>,
    last: Last,
}

/// The event of the highest number that a moment has seen. A database that is put back to an earlier state
/// gives its number out again, but at another time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    pub txn: i64,
    /// In microseconds since 1970.
    pub at: i64,
}

/// More transactions are not open at a time; a cursor that says so was not made here.
const MOST_OPEN: usize = 1_024;

impl From<&event::Model> for Last {
    fn from(event: &event::Model) -> Self {
        Self { txn: event.txn, at: event.at.timestamp_micros() }
    }
}

impl Moment {
    /// From a snapshot as PostgreSQL writes it: the first that is not over, the first that has not begun, and
    /// those between that are not over.
    #[must_use]
    pub fn new(snapshot: &str, last: Last) -> Option<Self> {
        let open = snapshot.split(':').nth(2)?.split(',').filter(|txn| !txn.is_empty());
        let mut open = open.map(str::parse).collect::<Result<Vec<i64>, _>>().ok()?;
        open.retain(|txn| *txn < last.txn);
        open.sort_unstable();
        Some(Self { open, last })
    }

    #[must_use]
    pub fn has_seen(&self, txn: i64) -> bool {
        txn <= self.last.txn && self.open.binary_search(&txn).is_err()
    }

    /// The first transaction that it has not seen.
    #[must_use]
    pub fn first_unseen(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.next())
    }

    /// It and all after it are unseen.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.last.txn + 1
    }

    /// The unseen ones before [`Self::next`].
    #[must_use]
    pub fn open(&self) -> &[i64] {
        &self.open
    }

    #[must_use]
    pub fn last(&self) -> Last {
        self.last
    }

    /// On the way from here to `now`, which is later, when what happened is told in the order of the
    /// transactions' numbers and `told` was told last.
    #[must_use]
    pub fn up_to(&self, told: Last, now: &Self) -> Self {
        let txn = told.txn;
        let still = self.open.iter().filter(|open| **open > txn || !now.has_seen(**open));
        let begun = now.open.iter().filter(|open| (self.next()..=txn).contains(*open));
        let open = still.chain(begun).copied().collect();
        Self { open, last: self.last.max(told) }
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Last { txn, at } = self.last;
        self.open.iter().chain(&[txn, at]).flat_map(|txn| txn.to_be_bytes()).collect()
    }

    /// What [`Self::to_bytes`] made.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut open: Vec<i64> = numbers.iter().map(|txn| i64::from_be_bytes(*txn)).collect();
        let [at, txn] = [open.pop()?, open.pop()?];
        let rises = open.iter().chain([&txn]).is_sorted_by(|a, b| a < b);
        let positive = *open.first().unwrap_or(&txn) > 0;
        let is_whole = rest.is_empty() && rises && positive && txn < i64::MAX;
        let is_whole = is_whole && open.len() <= MOST_OPEN;
        is_whole.then_some(Self { open, last: Last { txn, at } })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str, txn: i64) -> Option<Moment> {
        Moment::new(text, Last { txn, at: 0 })
    }

    #[test]
    fn it_has_seen_what_was_over() {
        let moment = self::moment("10:20:10,14,19", 17).unwrap();
        let unseen: Vec<i64> = (1..25).filter(|txn| !moment.has_seen(*txn)).collect();
        assert_eq!(unseen, [10, 14, 18, 19, 20, 21, 22, 23, 24]);
        assert_eq!((moment.first_unseen(), moment.next()), (10, 18));
        assert_eq!(self::moment("7:7:", 6).unwrap().first_unseen(), 7);
        for broken in ["", "7", "7:7", "7:9:8,y"] {
            assert_eq!(self::moment(broken, 6), None, "{broken}");
        }
    }

    /// The server has crashed, and gives a number out again that was taken by a transaction that left no trace.
    #[test]
    fn what_left_no_trace_was_not_seen() {
        let before = moment("728:728:", 726).unwrap();
        let after = moment("728:728:", 727).unwrap();
        assert!(!before.has_seen(727) && after.has_seen(727));
    }

    #[test]
    fn no_bytes_break_it() {
        let bytes =
            |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
        assert_eq!(Moment::from_bytes(&bytes(&[3, 9, -7])).map(|it| it.next()), Some(10));
        let broken: [&[i64]; 7] =
            [&[], &[9], &[0, 0], &[-9, 9, 0], &[9, 9, 0], &[9, 3, 0], &[i64::MAX, 0]];
        let many: Vec<i64> = (1..1_028).collect();
        assert!(Moment::from_bytes(&bytes(&many[1..])).is_some());
        for broken in broken.into_iter().map(bytes).chain([vec![0; 7], vec![1; 17], bytes(&many)]) {
            assert_eq!(Moment::from_bytes(&broken), None, "{broken:?}");
        }
    }

    proptest! {
        /// Some transactions, and when each begins and is over: events are told batch by batch, and whoever
        /// stops after any one and goes on from there is told exactly the rest.
        #[test]
        fn whoever_goes_on_is_told_the_rest(
            ends in prop::collection::vec(1_i64..30, 1..25),
            mut looks in prop::collection::vec(0_i64..60, 2..6),
        ) {
            looks.sort_unstable();
            // Transaction n begins at n, and is over `ends[n]` later.
            let over = |txn: i64| txn + ends[usize::try_from(txn).unwrap() - 1];
            let last = i64::try_from(ends.len()).unwrap();
            let event = |txn| Last { txn, at: txn };
            let at = |time: i64| {
                let next = (time + 1).clamp(1, last + 1);
                let (mut open, seen) = (1..next).partition::<Vec<_>, _>(|txn| over(*txn) > time);
                // There always is one before all others.
                let last = seen.last().map_or(Last::default(), |txn| event(*txn));
                open.retain(|txn| *txn < last.txn);
                Moment { open, last }
            };
            for pair in looks.windows(2) {
                let (before, now) = (at(pair[0]), at(pair[1]));
                let news: Vec<i64> =
                    (1..=last).filter(|txn| now.has_seen(*txn) && !before.has_seen(*txn)).collect();
                for (told, txn) in news.iter().enumerate() {
                    let here = before.up_to(event(*txn), &now);
                    prop_assert_eq!(Moment::from_bytes(&here.to_bytes()), Some(here.clone()));
                    for time in pair[1]..62 {
                        let later = at(time);
                        let mut rest: Vec<i64> = (1..=last)
                            .filter(|txn| later.has_seen(*txn) && !here.has_seen(*txn)).collect();
                        let mut due: Vec<i64> =
                            (1..=last).filter(|txn| later.has_seen(*txn) && !before.has_seen(*txn)).collect();
                        due.retain(|txn| !news[..=told].contains(txn));
                        rest.sort_unstable();
                        prop_assert_eq!(&rest, &due);
                    }
                }
            }
        }
    }
}
