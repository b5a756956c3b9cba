//! Tokens of an external identity provider: JSON Web Tokens (RFC 7519).
//!
//! A token is verified once. Its session then has the hash of the token, so that a later request
//! with the token is authenticated as any other session: by one statement, without a check of the
//! signature. `key_cache` has the provider's keys, `signature` verifies, `claims` says who the user
//! is.

mod claims;
mod key_cache;
mod keys;
mod provider;
mod signature;

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};

pub use claims::ExternalUser;
use key_cache::KeyCache;
use provider::Provider;

use super::viewer::invalid_token;
use crate::clock;
use crate::config::IdentityConfig;
use crate::error::Error;

/// Longest token in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The identity provider whose tokens are accepted.
pub struct TokenIssuer {
    config: IdentityConfig,
    keys: KeyCache,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

/// Why a token is not accepted.
enum Rejection {
    /// The reason for the log, which the client does not learn.
    Invalid(String),
    /// The keys are not known.
    Unavailable,
}

impl TokenIssuer {
    /// The provider of the configuration, if there is one.
    ///
    /// Its keys are fetched in the background.
    ///
    /// # Errors
    /// When the audience is missing, or the file of certificates cannot be read.
    pub fn new(config: &IdentityConfig) -> Result<Option<Self>> {
        if !config.has_provider() {
            return Ok(None);
        }
        ensure!(!config.oidc_audience.is_empty(), "--oidc-issuer needs --oidc-audience");
        signature::install();
        let keys = KeyCache::new(Provider::new(&config.oidc_issuer, &config.oidc_ca_file)?);
        keys.refresh_in_background();
        let (accepted, rejected) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Some(Self { config: config.clone(), keys, accepted, rejected }))
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token is not valid, which does not say why;
    /// [`Error::Unavailable`] when the provider's keys cannot be fetched.
    pub async fn verify(&self, token: &str) -> Result<ExternalUser, Error> {
        match self.check(token).await {
            Ok(user) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                Ok(user)
            }
            Err(Rejection::Invalid(reason)) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(reason, "a token of the identity provider was rejected");
                Err(invalid_token())
            }
            Err(Rejection::Unavailable) => Err(Error::Unavailable),
        }
    }

    async fn check(&self, token: &str) -> Result<ExternalUser, Rejection> {
        let header = decode_header(token)?;
        if !signature::ALGORITHMS.contains(&header.alg) {
            return Err(Rejection::Invalid(format!("its algorithm is {:?}", header.alg)));
        }
        if !header.typ.as_deref().is_none_or(is_of_access_token) {
            return Err(Rejection::Invalid("it is no access token".to_owned()));
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await;
        let key = key.map_err(|_| Rejection::Unavailable)?;
        let key = key.ok_or_else(|| Rejection::Invalid("its key is not known".to_owned()))?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.config.oidc_issuer]);
        validation.set_audience(&[&self.config.oidc_audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are compared with the protected clock of this process.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<Map<String, Value>>(token, &key, &validation)?.claims;
        ExternalUser::from_claims(&claims, &self.config, clock::now())
            .map_err(|reason| Rejection::Invalid(reason.to_owned()))
    }

    /// Number of tokens that were accepted since the start, each counted once.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Number of tokens that were rejected since the start.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Number of failed fetches of keys since the start.
    pub fn failed_fetches(&self) -> u64 {
        self.keys.failures()
    }
}

impl From<jsonwebtoken::errors::Error> for Rejection {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Whether a text has the form of a signed JSON Web Token.
pub fn is_jwt(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= MAX_TOKEN_BYTES
        && text.starts_with("eyJ")
        && text.bytes().all(is_part)
        && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whether the type in a header is that of an access token, or of any token.
///
/// Other tokens of a provider, such as those of a logout, must not be taken for one (RFC 8725).
fn is_of_access_token(ty: &str) -> bool {
    let ty = ty.to_ascii_lowercase();
    matches!(ty.strip_prefix("application/").unwrap_or(&ty), "jwt" | "at+jwt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_three_parts_are_tokens_of_a_provider() {
        assert!(is_jwt("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"));
        assert!(is_jwt("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."), "rejected for its algorithm");
        for other in ["", "eyJ", "eyJ.a", "eyJ.a.b.c", "eyJ.a.b c", "rookery_a.b.c", "eyJ.ä.b"] {
            assert!(!is_jwt(other), "{other}");
        }
        assert!(!is_jwt(&format!("eyJ.{}.b", "a".repeat(MAX_TOKEN_BYTES))));
    }

    #[test]
    fn tokens_of_other_types_are_not_accepted() {
        for ty in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            assert!(is_of_access_token(ty), "{ty}");
        }
        for ty in ["", "logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE"] {
            assert!(!is_of_access_token(ty), "{ty}");
        }
    }
}
