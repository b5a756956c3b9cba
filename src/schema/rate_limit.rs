//! What the viewer may still ask for, as clients see it.

use async_graphql::{Context, Object, SimpleObject};
use chrono::{TimeDelta, Utc};

use super::caller;
use super::scalar::DateTime;
use crate::auth::Balance;

/// What this request took.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub cost: usize,
    pub balance: Balance,
}

/// What may be asked for: points, of which a request costs one for each field, multiplied by the page sizes above it.
/// Signed-in users have points of their own; all others share those of their network, which is an IPv4 address or the
/// /64 of an IPv6 address. They come back steadily. Counted by each instance of the service for itself.
#[derive(SimpleObject)]
pub struct RateLimit {
    /// Points that this request has cost.
    cost: i32,
    /// Points that come back in a minute, and that there are at most.
    limit: i32,
    /// Points that are used up.
    used: i32,
    /// Points that are left. What costs more fails with `RATE_LIMITED`, and with `retryAfterSeconds` in its
    /// extensions.
    remaining: i32,
    /// When all points are back.
    reset_at: DateTime,
}

#[derive(Default)]
pub struct RateLimitQuery;

#[Object]
impl RateLimitQuery {
    /// What the viewer may still ask for, with this request taken off; null where the operator has set no limit.
    async fn rate_limit(&self, ctx: &Context<'_>) -> Option<RateLimit> {
        let Allowance { cost, balance } = caller(ctx).allowance?;
        let points = |points| i32::try_from(points).unwrap_or(i32::MAX);
        let reset = TimeDelta::from_std(balance.reset).unwrap_or_default();
        Some(RateLimit {
            cost: i32::try_from(cost).unwrap_or(i32::MAX),
            limit: points(balance.limit),
            used: points(balance.limit - balance.remaining),
            remaining: points(balance.remaining),
            reset_at: DateTime(Utc::now() + reset),
        })
    }
}
