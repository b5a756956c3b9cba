//! Guesses at passwords, counted: by where they come from, and by the account that they are at. Nothing is hashed
//! that was not counted, so however many fields, batches or sockets a client uses, it has the same number of them.

use std::time::Duration;

use super::client::Network;
use super::rate::Rate;
use crate::error::{Error, UserErrorKind};

/// Guesses at one account may come from everywhere; somebody who keeps guessing should not lock its owner out.
const PLACES: u32 = 5;

/// Bytes of an e-mail address, which may be longer than a username.
const MAX_NAME: usize = 254;

/// The proof that it was counted.
pub struct Attempt(());

impl Attempt {
    /// The operator need not be counted.
    pub fn of_operator() -> Self {
        Self(())
    }
}

pub struct Attempts {
    by_network: Rate<Network>,
    by_account: Rate<Account>,
}

/// What is guessed at, however it was named.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Account {
    Of(i64),
    /// The same, by somebody who has a session of it: strangers who guess do not keep them from changing the password.
    Own(i64),
    /// Nobody's; it is counted all the same, for the answer must not tell.
    Nobody(String),
}

impl Account {
    /// Of that name. What is longer than any name or address is remembered as one.
    pub fn nobody(name: String) -> Self {
        Self::Nobody(if name.len() <= MAX_NAME { name } else { String::new() })
    }
}

impl Attempts {
    /// So many in a minute from one network, and five times as many at one account; 0 for no limit.
    pub fn per_minute(limit: u32) -> Self {
        let by_account = Rate::per_minute(limit.saturating_mul(PLACES));
        Self { by_network: Rate::per_minute(limit), by_account }
    }

    /// One more, at an account if at any.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    pub fn admit(&self, network: Network, account: Option<Account>) -> Result<Attempt, Error> {
        self.by_network.take(&network, 1).map_err(too_many)?;
        if let Some(account) = account {
            self.by_account.take(&account, 1).map_err(too_many)?;
        }
        Ok(Attempt(()))
    }

    pub fn forget(&self) {
        self.by_network.forget();
        self.by_account.forget();
    }
}

fn too_many(wait: Duration) -> Error {
    let retry_after = Duration::from_secs(wait.as_secs() + 1);
    let message = "There were too many attempts. Try again later.";
    UserErrorKind::TooManyRequests { retry_after }.at(&[], message).into()
}
