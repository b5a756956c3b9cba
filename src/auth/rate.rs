//! How much somebody may do in a minute: a bucket for each, which fills up again steadily.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

type Buckets<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// `None` for no limit.
pub struct Rate<K: Clone + Eq + Hash>(Option<Buckets<K>>);

/// What is left in a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Balance {
    pub limit: u32,
    pub remaining: u32,
    /// How long it takes until it is full again.
    pub reset: Duration,
}

impl<K: Clone + Eq + Hash> Rate<K> {
    /// A bucket holds `limit`, which is what a minute fills; 0 for no limit.
    pub fn per_minute(limit: u32) -> Self {
        let quota = NonZeroU32::new(limit).map(Quota::per_minute);
        Self(quota.map(|quota| {
            let state = HashMapStateStore::default();
            let buckets: RateLimiter<_, _, _, NoOpMiddleware> =
                RateLimiter::new(quota, state, DefaultClock::default());
            buckets.with_middleware()
        }))
    }

    /// Takes from a bucket, all of `amount` or nothing; more than it ever holds is all but one of that.
    ///
    /// # Errors
    /// There is not enough; there will be, when as much time has gone by.
    pub fn take(&self, whose: &K, amount: u32) -> Result<Option<Balance>, Duration> {
        let (Some(buckets), Some(amount)) = (&self.0, NonZeroU32::new(amount)) else {
            return Ok(None);
        };
        let taken = buckets.check_key_n(whose, amount).or_else(|most| {
            NonZeroU32::new(most.0 - 1).map_or(Err(most), |most| buckets.check_key_n(whose, most))
        });
        match taken {
            Ok(Ok(state)) => Ok(Some(Balance::from(&state))),
            Ok(Err(not_yet)) => Err(not_yet.wait_time_from(DefaultClock::default().now())),
            // A bucket holds what it holds.
            Err(_) => Ok(None),
        }
    }

    /// Forgets full buckets: they are as those of people who never came.
    pub fn forget(&self) {
        if let Some(buckets) = &self.0 {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

impl From<&StateSnapshot> for Balance {
    fn from(state: &StateSnapshot) -> Self {
        let (quota, remaining) = (state.quota(), state.remaining_burst_capacity());
        let limit = quota.burst_size().get();
        let reset = quota.replenish_interval() * limit.saturating_sub(remaining);
        Self { limit, remaining, reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_taken_from_until_it_is_empty() {
        let rate = Rate::per_minute(100);
        let balance = rate.take(&"john", 60).unwrap().unwrap();
        assert_eq!((balance.limit, balance.remaining), (100, 40));
        assert!((35..=36).contains(&balance.reset.as_secs()), "{balance:?}");
        let wait = rate.take(&"john", 60).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(12), "{wait:?}");
        assert_eq!(rate.take(&"john", 40).unwrap().unwrap().remaining, 0);
        assert_eq!(rate.take(&"susan", 1).unwrap().unwrap().remaining, 99);
        // Nobody is kept out for ever, though the first point of what they want is taken by itself.
        rate.take(&"mary", 1).unwrap();
        assert_eq!(rate.take(&"mary", 1_000).unwrap().unwrap().remaining, 0);
        assert!(rate.take(&"mary", 1_000).is_err());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let rate = Rate::per_minute(0);
        assert!(rate.take(&"john", u32::MAX).unwrap().is_none());
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let rate = Rate::per_minute(60_000);
        for n in 0..1_000 {
            rate.take(&n, 1).unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
        rate.take(&0, 60_000).unwrap_or_default();
        rate.forget();
        assert!(rate.0.unwrap().len() <= 1);
    }
}
