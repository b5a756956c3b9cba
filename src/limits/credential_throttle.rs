//! The rate limit of credential attempts.
//!
//! It limits guesses of passwords and of registered e-mail addresses. Credential attempts are
//! registration, login, proof of a password, change and verification of an e-mail address, and
//! reset of a password. They are counted by client network and by account, before a password is
//! hashed. Hashing requires an
//! [`AttemptPermit`], which only the throttle and the operator's commands create. The limit
//! therefore holds however many fields, batches or WebSockets a client uses.

use std::time::Duration;

use super::client_network::ClientNetwork;
use super::rate_limiter::RateLimiter;
use crate::error::{Error, UserErrorKind};

/// The limit of an account divided by that of a client network.
///
/// An account is limited over all networks. Its limit is higher, so that an attacker with one
/// network cannot lock the owner out.
const ACCOUNT_MULTIPLIER: u32 = 5;

/// Maximum length of an e-mail address in bytes. Usernames are shorter.
const MAX_IDENTIFIER_BYTES: usize = 254;

/// Proof that a credential attempt was counted, with its client network.
pub struct AttemptPermit(ClientNetwork);

impl AttemptPermit {
    /// A permit for a command of the operator, whose attempts are not counted.
    pub fn unlimited() -> Self {
        Self(ClientNetwork::default())
    }

    /// The client network, among which hashing is shared fairly.
    pub fn network(&self) -> ClientNetwork {
        self.0
    }
}

/// Counts credential attempts by client network and by account.
pub struct CredentialThrottle {
    by_network: RateLimiter<ClientNetwork>,
    by_account: RateLimiter<ThrottleKey>,
}

/// The account of an attempt, the same by its username as by its e-mail address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ThrottleKey {
    /// An existing account, by its user's id.
    Account(i64),
    /// An existing account, in an attempt with a session of it.
    ///
    /// These are counted separately, so that attempts without a session do not keep the owner from
    /// changing the password.
    Authenticated(i64),
    /// An identifier without an account.
    ///
    /// It is limited like an account, so that the limit does not disclose which accounts exist.
    Unknown(String),
    /// An address in a request to reset the password, with an account or without.
    ///
    /// These are counted separately. If they shared a count with logins, the limit would disclose
    /// which addresses have accounts.
    PasswordReset(String),
}

impl ThrottleKey {
    /// The key of an identifier without an account.
    ///
    /// All identifiers longer than 254 bytes share one key.
    pub fn unknown(identifier: String) -> Self {
        let is_short = identifier.len() <= MAX_IDENTIFIER_BYTES;
        Self::Unknown(if is_short { identifier } else { String::new() })
    }
}

impl CredentialThrottle {
    /// A throttle for `limit` attempts per minute from one client network.
    ///
    /// The limit of one account is five times as high. 0 disables both limits.
    pub fn per_minute(limit: u32) -> Self {
        let by_account = RateLimiter::per_minute(limit.saturating_mul(ACCOUNT_MULTIPLIER));
        Self { by_network: RateLimiter::per_minute(limit), by_account }
    }

    /// Counts an attempt from `network`, at `account` if it names one.
    ///
    /// # Errors
    /// The user error `TOO_MANY_REQUESTS` when the network or the account has reached its limit.
    pub fn check(
        &self,
        network: ClientNetwork,
        account: Option<ThrottleKey>,
    ) -> Result<AttemptPermit, Error> {
        self.by_network.check(&network, 1).map_err(too_many_attempts)?;
        if let Some(account) = account {
            self.by_account.check(&account, 1).map_err(too_many_attempts)?;
        }
        Ok(AttemptPermit(network))
    }

    /// Evicts networks and accounts that have all their attempts left.
    pub fn evict_idle(&self) {
        self.by_network.evict_idle();
        self.by_account.evict_idle();
    }
}

fn too_many_attempts(wait: Duration) -> Error {
    let retry_after = Duration::from_secs(wait.as_secs() + 1);
    let message = "Too many attempts. Try again later.";
    UserErrorKind::TooManyRequests { retry_after }.at(&[], message).into()
}
