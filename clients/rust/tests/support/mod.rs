//! The users of the tests.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rookery_client::account::Account;

/// The longest time to wait for an event.
pub const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Registers a user. The username has a random suffix.
pub async fn register(name: &str) -> Result<Account> {
    let address = std::env::var("ROOKERY_URL").context("set ROOKERY_URL")?;
    Account::register(&address, format!("{name}_{:016x}", fastrand::u64(..))).await
}

pub async fn john_and_susan() -> Result<(Account, Account)> {
    Ok((register("john").await?, register("susan").await?))
}
