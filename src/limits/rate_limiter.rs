//! A rate limiter with a limit for each key, on the `governor` crate.
//!
//! The algorithm is GCRA (generic cell rate algorithm), which is equivalent to a token bucket: a
//! key's balance of points is refilled continuously, and a full balance is one minute's limit.
//! `governor` keeps the state of every key, so keys with a full balance must be evicted regularly
//! by [`RateLimiter::evict_idle`].

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::HashMapStateStore;

type Limiter<K> =
    governor::RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// A limiter of points per minute; `None` for no limit.
#[derive(Debug)]
pub struct RateLimiter<K: Clone + Eq + Hash>(Option<Limiter<K>>);

/// The balance of a key.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitStatus {
    /// The full balance in points, which is the limit per minute.
    pub limit: u32,
    /// The current balance in points.
    pub remaining: u32,
    /// Time until the balance is full again.
    pub reset: Duration,
}

impl<K: Clone + Eq + Hash> RateLimiter<K> {
    /// A limiter of `limit` points per minute and key; 0 disables it.
    pub fn per_minute(limit: u32) -> Self {
        let quota = NonZeroU32::new(limit).map(Quota::per_minute);
        Self(quota.map(|quota| {
            let state = HashMapStateStore::default();
            let limiter: governor::RateLimiter<_, _, _, NoOpMiddleware> =
                governor::RateLimiter::new(quota, state, DefaultClock::default());
            limiter.with_middleware()
        }))
    }

    /// Takes `amount` points from the balance of `key`, or none.
    ///
    /// An amount above the limit is capped at the limit - 1, because a request has already taken
    /// one point. Returns `None` when nothing is taken: no limit is configured, `amount` is 0, or
    /// the limit is 1 and `amount` is larger.
    ///
    /// # Errors
    /// The time until the balance suffices, not rounded to seconds.
    pub fn check(&self, key: &K, amount: u32) -> Result<Option<RateLimitStatus>, Duration> {
        let (Some(limiter), Some(amount)) = (&self.0, NonZeroU32::new(amount)) else {
            return Ok(None);
        };
        let result = limiter.check_key_n(key, amount).or_else(|capacity| {
            NonZeroU32::new(capacity.0 - 1)
                .map_or(Err(capacity), |max| limiter.check_key_n(key, max))
        });
        match result {
            Ok(Ok(state)) => Ok(Some(RateLimitStatus::from(&state))),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(DefaultClock::default().now())),
            // The limit is 1 point, so the cap is 0.
            Err(_) => Ok(None),
        }
    }

    /// Evicts keys with a full balance, which equal keys that were never used.
    pub fn evict_idle(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

impl From<&StateSnapshot> for RateLimitStatus {
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
    fn each_key_has_its_own_balance() {
        let limiter = RateLimiter::per_minute(100);
        let status = limiter.check(&"john", 60).unwrap().unwrap();
        assert_eq!((status.limit, status.remaining), (100, 40));
        assert!((35..=36).contains(&status.reset.as_secs()), "{status:?}");
        let wait = limiter.check(&"john", 60).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(12), "{wait:?}");
        assert_eq!(limiter.check(&"john", 40).unwrap().unwrap().remaining, 0);
        assert_eq!(limiter.check(&"susan", 1).unwrap().unwrap().remaining, 99);
    }

    #[test]
    fn amount_above_the_limit_is_allowed_with_an_almost_full_balance() {
        let limiter = RateLimiter::per_minute(100);
        limiter.check(&"mary", 1).unwrap();
        assert_eq!(limiter.check(&"mary", 1_000).unwrap().unwrap().remaining, 0);
        assert!(limiter.check(&"mary", 1_000).is_err());
    }

    #[test]
    fn limit_of_zero_counts_nothing() {
        let limiter = RateLimiter::per_minute(0);
        assert!(limiter.check(&"john", u32::MAX).unwrap().is_none());
    }

    #[test]
    fn full_balances_are_evicted() {
        let limiter = RateLimiter::per_minute(60_000);
        for n in 0..1_000 {
            limiter.check(&n, 1).unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
        limiter.check(&0, 60_000).unwrap_or_default();
        limiter.evict_idle();
        assert!(limiter.0.unwrap().len() <= 1);
    }
}
