//! The work of one operation, in points, charged to its client's rate limit.
//!
//! The cost of a document counts what it selects. Its work counts what its statements read: a point
//! is a row that a statement looks up, or 64 bytes of the response. A timeline looks up the newest
//! post of every followed user, whatever the size of its page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{CostRateLimiter, RateLimitKey, RateLimitStatus};
use crate::error::Error;

/// Bytes of a response that are a point of work.
const BYTES_PER_POINT: usize = 64;
/// Rows that a `count(*)` counts for a point of work.
///
/// It reads entries of an index, and no rows.
const COUNTED_ROWS_PER_POINT: usize = 50;

/// Counts and charges the work of one operation, or of one event of a subscription.
#[derive(Debug)]
pub struct WorkMeter {
    limiter: Arc<CostRateLimiter>,
    key: RateLimitKey,
    /// Cost of the operation's document, which is charged already.
    cost: usize,
    /// Whether the client had all points of its limit before the operation.
    had_all_points: bool,
    /// Maximum work of an operation in points.
    max: usize,
    /// Work that statements have reserved.
    reserved: AtomicUsize,
    /// Whether an event of the subscription has begun.
    has_event: AtomicBool,
}

impl WorkMeter {
    /// A meter for an operation of `key`, whose statements may look up `max` rows.
    pub fn new(limiter: &Arc<CostRateLimiter>, key: RateLimitKey, max: usize) -> Self {
        Self {
            limiter: Arc::clone(limiter),
            key,
            cost: 0,
            had_all_points: false,
            max,
            reserved: AtomicUsize::default(),
            has_event: AtomicBool::default(),
        }
    }

    /// The same, after the cost of the document was charged.
    #[must_use]
    pub fn with_cost(self, cost: usize, status: Option<RateLimitStatus>) -> Self {
        let had_all = |status: RateLimitStatus| {
            let remaining = usize::try_from(status.remaining).unwrap_or(usize::MAX);
            remaining.saturating_add(cost) >= usize::try_from(status.limit).unwrap_or(usize::MAX)
        };
        Self { cost, had_all_points: status.is_some_and(had_all), ..self }
    }

    /// Reserves the rows that a statement will look up, before it runs.
    ///
    /// An operation that takes more than the limit is charged all of it. The client can repeat the
    /// operation when it has all points again.
    ///
    /// # Errors
    /// [`Error::TooMuchWork`] when the operation would exceed its maximum; [`Error::RateLimited`]
    /// when the client has not enough points left, and did not have all before. Its time is that
    /// until the client can pay the whole operation.
    pub fn reserve(&self, rows: usize) -> Result<(), Error> {
        let reserved = self.reserved.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        if reserved > self.max {
            return Err(Error::TooMuchWork { max: self.max });
        }
        let Err(error) = self.limiter.charge_work(self.key, rows) else { return Ok(()) };
        if self.had_all_points && !self.has_begun_event() {
            self.limiter.charge_done(self.key, rows);
            return Ok(());
        }
        // More than the client has, so nothing is taken.
        self.limiter.charge_work(self.key, self.cost.saturating_add(reserved)).and(Err(error))
    }

    /// Charges rows whose number was not known before they were read.
    pub fn charge_read(&self, rows: usize) {
        self.limiter.charge_done(self.key, rows);
    }

    /// Charges the rows that a `count(*)` has counted, which are not known before.
    pub fn charge_counted(&self, rows: u64) {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.limiter.charge_done(self.key, rows / COUNTED_ROWS_PER_POINT);
    }

    /// Charges a response of `bytes`, and ends the operation or the event.
    pub fn charge_response(&self, bytes: usize) {
        self.reserved.store(0, Ordering::Relaxed);
        self.limiter.charge_done(self.key, bytes / BYTES_PER_POINT);
    }

    /// Whether an event of the subscription has begun.
    pub fn has_begun_event(&self) -> bool {
        self.has_event.load(Ordering::Relaxed)
    }

    /// Charges the document again, for each event of a subscription but the first.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the client has not enough points left.
    pub fn begin_event(&self) -> Result<(), Error> {
        self.reserved.store(0, Ordering::Relaxed);
        let is_first = !self.has_event.swap(true, Ordering::Relaxed);
        if is_first { Ok(()) } else { self.limiter.charge_work(self.key, self.cost) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A meter with a limit of 1,000 points per minute.
    fn meter(cost: usize) -> WorkMeter {
        let limiter = CostRateLimiter::per_minute(0, 1_000).into();
        WorkMeter::new(&limiter, RateLimitKey::User(1), 300).with_cost(cost, None)
    }

    #[test]
    fn work_is_bounded_per_operation_and_charged_before_it_is_done() {
        let meter = meter(150);
        assert_eq!(meter.reserve(200), Ok(()));
        assert_eq!(meter.reserve(101), Err(Error::TooMuchWork { max: 300 }));
        assert_eq!(meter.begin_event(), Ok(()), "the first event is paid");
        assert_eq!(meter.begin_event(), Ok(()));
        assert_eq!(meter.reserve(300), Ok(()), "each event has a maximum of its own");
        assert_eq!(meter.begin_event(), Ok(()));
        assert!(matches!(meter.reserve(250), Err(Error::RateLimited { .. })), "200 are left");
        assert_eq!(meter.begin_event(), Ok(()));
        assert_eq!(meter.reserve(40), Ok(()));
        assert!(matches!(meter.begin_event(), Err(Error::RateLimited { .. })));
    }

    #[test]
    fn an_operation_that_takes_more_than_the_limit_is_charged_all_of_it() {
        let limiter = CostRateLimiter::per_minute(0, 100).into();
        let key = RateLimitKey::User(1);
        let operation = |status| WorkMeter::new(&limiter, key, 300).with_cost(10, status);
        let first = limiter.charge(key, 10).unwrap();
        assert_eq!(operation(first).reserve(200), Ok(()));
        let second = Some(RateLimitStatus { remaining: 0, ..first.unwrap() });
        assert!(matches!(operation(second).reserve(200), Err(Error::RateLimited { .. })));
        let Err(Error::RateLimited { retry_after }) = operation(second).reserve(50) else {
            panic!("points were left");
        };
        // For the 50 rows alone it would be 31 s.
        assert!(retry_after > Duration::from_secs(33), "{retry_after:?}");
    }

    #[test]
    fn work_that_is_known_afterwards_takes_what_is_left() {
        let counting = meter(1);
        counting.charge_counted(u64::MAX);
        assert!(matches!(counting.reserve(100), Err(Error::RateLimited { .. })));
        let responding = meter(100);
        responding.charge_response(64 * 800);
        assert!(matches!(responding.reserve(300), Err(Error::RateLimited { .. })));
        assert_eq!(responding.begin_event(), Ok(()));
    }
}
