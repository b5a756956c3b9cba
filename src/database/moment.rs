//! A moment of the database, told by the transactions that it has seen. Events bear the number of their
//! transaction, and transactions are not over in the order of their numbers; so what somebody has been told of
//! is never just a number.

use entity::event;

/// A server runs no more transactions at a time than it has connections.
const MOST_OPEN: usize = 1_000;

/// Which transactions had been committed, or given up, by then. On SQLite, where one is over before the next
/// begins, all up to a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The first that had not begun.
    next: i64,
    /// Those before it that were not over, in order.
    open: Vec<i64>,
    last: Last,
}

/// The event of the highest number that a moment has seen. A database that is put back to an earlier state
/// gives numbers out again, but not at the same microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    pub txn: i64,
    /// In microseconds since 1970.
    pub at: i64,
}

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
        let mut parts = snapshot.split(':').skip(1);
        let next = parts.next()?.parse().ok()?;
        let open = parts.next()?.split(',').filter(|txn| !txn.is_empty());
        let mut open = open.map(str::parse).collect::<Result<Vec<i64>, _>>().ok()?;
        open.sort_unstable();
        Some(Self { next, open, last })
    }

    #[must_use]
    pub fn has_seen(&self, txn: i64) -> bool {
        txn < self.next && self.open.binary_search(&txn).is_err()
    }

    /// The first transaction that it has not seen.
    #[must_use]
    pub fn first_unseen(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// The first that had not begun: it and all after it are unseen.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
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
        let begun = now.open.iter().filter(|open| (self.next..=txn).contains(*open));
        let open = still.chain(begun).copied().collect();
        Self { next: self.next.max(txn + 1), open, last: self.last.max(told) }
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Last { txn, at } = self.last;
        self.open.iter().chain(&[self.next, txn, at]).flat_map(|txn| txn.to_be_bytes()).collect()
    }

    /// What [`Self::to_bytes`] made.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut open: Vec<i64> = numbers.iter().map(|txn| i64::from_be_bytes(*txn)).collect();
        let [at, txn, next] = [open.pop()?, open.pop()?, open.pop()?];
        let rises = open.iter().chain([&next]).is_sorted_by(|a, b| a < b);
        let few = open.len() <= MOST_OPEN;
        let positive = *open.first().unwrap_or(&next) > 0;
        let moment = Self { next, open, last: Last { txn, at } };
        let has_last = txn > 0 && moment.has_seen(txn);
        (rest.is_empty() && few && rises && positive && has_last && next < i64::MAX)
            .then_some(moment)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::new(text, Last { txn: 1, at: 0 }).unwrap()
    }

    #[test]
    fn it_has_seen_what_was_over() {
        let moment = moment("10:20:10,14");
        let unseen: Vec<i64> = (1..25).filter(|txn| !moment.has_seen(*txn)).collect();
        assert_eq!(unseen, [10, 14, 20, 21, 22, 23, 24]);
        assert_eq!((moment.first_unseen(), moment.next()), (10, 20));
        assert_eq!(self::moment("7:7:").first_unseen(), 7);
        for broken in ["", "7", "7:7", "7:x:", "7:9:8,y"] {
            assert_eq!(Moment::new(broken, Last::default()), None, "{broken}");
        }
    }

    #[test]
    fn no_bytes_break_it() {
        let bytes =
            |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
        assert_eq!(Moment::from_bytes(&bytes(&[3, 9, 4, -7])).map(|it| it.next()), Some(9));
        let rising = [&[][..], &[0], &[9], &[9, 4], &[-9, -10, 0], &[9, 9, 4, 0], &[9, 3, 4, 0]];
        let last = [&[9, 0, 0][..], &[9, 9, 0], &[4, 9, 4, 0], &[i64::MAX, 4, 0]];
        for broken in rising.into_iter().chain(last).map(bytes).chain([vec![0; 7], vec![1; 25]]) {
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
                let (open, seen) = (1..next).partition::<Vec<_>, _>(|txn| over(*txn) > time);
                // There always is one before all others.
                let last = seen.last().map_or(Last { txn: 1, at: 1 }, |txn| event(*txn));
                Moment { next, open, last }
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
