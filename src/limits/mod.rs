//! Everything that bounds what a client uses.
//!
//! Permits per user or network live in [`Keyed`], whose entries are evicted with their last holder.
//! Rate-limit balances live in [`RateLimiter`] (GCRA), which evicts full balances every minute.

mod client_network;
mod concurrency;
mod cost;
mod credential_throttle;
mod fair;
mod keyed;
mod rate_limiter;
mod response_memory;
mod streams;
mod work_meter;

pub use client_network::{ClientNetwork, RateLimitKey};
pub use concurrency::{ConcurrencyLimiter, RequestPermit};
pub use cost::CostRateLimiter;
pub use credential_throttle::{AttemptPermit, CredentialThrottle, ThrottleKey};
pub use fair::{FairPermit, FairSemaphore};
pub use keyed::{Keyed, KeyedEntry, KeyedPermit, KeyedSemaphore};
pub use rate_limiter::{RateLimitStatus, RateLimiter};
pub use response_memory::{MemoryPermit, ResponseMemory, ResponseReservation};
pub use streams::{StreamLimiter, StreamPermit};
pub use work_meter::WorkMeter;
