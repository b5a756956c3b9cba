//! What each may cost in a minute: users, wherever they are, and networks, for whoever is nobody in particular.

use std::time::Duration;

use async_graphql::ServerError;

use super::execute::refusal;
use crate::auth::{Balance, Network, Rate, Who};
use crate::error::Error;

/// What a request costs that does not come to run, and so many bytes of its document one more: somebody had to read it.
const REFUSED: usize = 100;
const BYTES: usize = 16;

pub struct Quota {
    networks: Rate<Network>,
    users: Rate<i64>,
}

impl Quota {
    pub fn per_minute(network: u32, user: u32) -> Self {
        Self { networks: Rate::per_minute(network), users: Rate::per_minute(user) }
    }

    /// Takes the first point of what a request costs: whoever has none left is not read.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn admit(&self, who: Who) -> Result<(), ServerError> {
        self.take(who, 1).map(drop)
    }

    /// Takes the rest of what it costs.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn charge(&self, who: Who, cost: usize) -> Result<Option<Balance>, ServerError> {
        self.take(who, cost.saturating_sub(1))
    }

    fn take(&self, who: Who, cost: usize) -> Result<Option<Balance>, ServerError> {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let taken = match who {
            Who::User(user) => self.users.take(&user, cost),
            Who::Network(network) => self.networks.take(&network, cost),
        };
        taken.map_err(|wait| {
            let retry_after = Duration::from_secs(wait.as_secs() + 1);
            refusal(Error::RateLimited { retry_after })
        })
    }

    /// Notes a request that did not come to run, with a document of so many bytes.
    pub fn note_refused(&self, who: Who, bytes: usize) {
        let mut cost = REFUSED + bytes / BYTES;
        // Whoever has less left keeps little of it.
        while cost > 0 && self.take(who, cost).is_err() {
            cost /= 2;
        }
    }

    pub fn forget(&self) {
        self.networks.forget();
        self.users.forget();
    }
}
