//! The query `rateLimit`: the cost of the request and the client's rate limit.
//!
//! The limiter is in `src/limits/cost.rs`. Admission charges the cost before the operation is
//! executed and passes the resulting status on in the request context.

use async_graphql::{Context, Object, SimpleObject};
use chrono::TimeDelta;

use super::request;
use super::scalar::DateTime;
use crate::clock;
use crate::limits::RateLimitStatus;

/// The cost of an operation, and the rate limit after it was charged.
#[derive(Clone, Copy, Debug)]
pub struct RequestCost {
    /// Cost in points.
    pub cost: usize,
    pub status: RateLimitStatus,
}

/// The client's rate limit.
///
/// Every operation costs points: at least one per field, multiplied by the page sizes of the lists
/// around it. Each row that is looked up and each 64 bytes of the response cost one point more.
/// Points are replenished continuously. Each signed-in user has a separate limit.
/// Anonymous clients share one limit per IPv4 address or IPv6 /56. Limits are per server instance.
#[derive(SimpleObject)]
pub struct RateLimit {
    /// Points that this operation's document cost, without the rows and the response.
    cost: i32,
    /// Maximum number of points, and points replenished per minute.
    limit: i32,
    /// Points used and not yet replenished: `limit` minus `remaining`.
    used: i32,
    /// Points left before this operation's rows and response are charged.
    ///
    /// An operation that costs more fails with `RATE_LIMITED`, and with `retryAfterSeconds` in the
    /// extensions of the error.
    remaining: i32,
    /// When all points are replenished, if the client uses no more until then.
    reset_at: DateTime,
}

#[derive(Default)]
pub struct RateLimitQuery;

#[Object]
impl RateLimitQuery {
    /// The client's rate limit after the cost of this operation's document.
    ///
    /// The rows that the operation reads and its response are charged later. Null if the operator
    /// has turned it off.
    async fn rate_limit(&self, ctx: &Context<'_>) -> Option<RateLimit> {
        let RequestCost { cost, status } = request(ctx).cost?;
        let points = |count| i32::try_from(count).unwrap_or(i32::MAX);
        let reset = TimeDelta::from_std(status.reset).unwrap_or_default();
        Some(RateLimit {
            cost: i32::try_from(cost).unwrap_or(i32::MAX),
            limit: points(status.limit),
            used: points(status.limit - status.remaining),
            remaining: points(status.remaining),
            reset_at: DateTime(clock::now() + reset),
        })
    }
}
