//! The rate limit of query cost and work, per user or anonymous network.
//!
//! A request takes one point before its document is parsed, the rest of its cost before it is
//! executed, and the points of its work as it is done. A request that is rejected has used the
//! server too, so it is charged afterwards. The algorithm is that of [`RateLimiter`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{ClientNetwork, RateLimitKey, RateLimitStatus, RateLimiter};
use crate::error::Error;

/// Cost points of a rejected request, beside those of its document.
const REJECTED_REQUEST_COST: usize = 100;
/// Bytes of a rejected document that cost one point more.
const REJECTED_BYTES_PER_POINT: usize = 16;

/// The rate limiters of query cost, in points.
#[derive(Debug)]
pub struct CostRateLimiter {
    networks: RateLimiter<ClientNetwork>,
    users: RateLimiter<i64>,
    /// Number of points taken from all clients.
    charged: AtomicU64,
}

impl CostRateLimiter {
    /// Limits in cost points per minute; 0 disables a limit.
    pub fn per_minute(network_limit: u32, user_limit: u32) -> Self {
        Self {
            networks: RateLimiter::per_minute(network_limit),
            users: RateLimiter::per_minute(user_limit),
            charged: AtomicU64::default(),
        }
    }

    /// Number of points that were taken from all clients since the start.
    pub fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed)
    }

    /// Takes the first point of a request.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the key has no point left.
    pub fn check(&self, key: RateLimitKey) -> Result<(), Error> {
        self.take(key, 1).map(drop)
    }

    /// Takes the rest of a request's points, and returns the state of the limit.
    ///
    /// [`Self::check`] has taken the first point.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the key has not enough points left.
    pub fn charge(&self, key: RateLimitKey, cost: usize) -> Result<Option<RateLimitStatus>, Error> {
        self.take(key, cost.saturating_sub(1))
    }

    fn take(&self, key: RateLimitKey, cost: usize) -> Result<Option<RateLimitStatus>, Error> {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let result = match key {
            RateLimitKey::User(user) => self.users.check(&user, cost),
            RateLimitKey::Network(network) => self.networks.check(&network, cost),
        };
        let status = result.map_err(|wait| {
            let retry_after = Duration::from_secs(wait.as_secs() + 1);
            Error::RateLimited { retry_after }
        })?;
        self.charged.fetch_add(cost.into(), Ordering::Relaxed);
        Ok(status)
    }

    /// Takes the points of work that is not done yet.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the key has not enough points left.
    pub fn charge_work(&self, key: RateLimitKey, points: usize) -> Result<(), Error> {
        self.take(key, points).map(drop)
    }

    /// Takes the points of work that is done.
    ///
    /// If the key has fewer points left, all of them are taken.
    pub fn charge_done(&self, key: RateLimitKey, points: usize) {
        if self.take(key, points).is_err()
            && let Ok(Some(status)) = self.take(key, 1)
        {
            let _ = self.take(key, usize::try_from(status.remaining).unwrap_or(usize::MAX));
        }
    }

    /// Charges a request that was rejected, with a document of `bytes`.
    pub fn charge_rejected(&self, key: RateLimitKey, bytes: usize) {
        self.charge_done(key, REJECTED_REQUEST_COST + bytes / REJECTED_BYTES_PER_POINT);
    }

    /// Evicts keys with a full balance.
    pub fn evict_idle(&self) {
        self.networks.evict_idle();
        self.users.evict_idle();
    }
}
