//! Password hashing with argon2id, on blocking threads with bounded concurrency.
//!
//! Each hash takes the configured memory (19 MiB by default) and occupies a core. The number of
//! concurrent hashes is limited (`--max-concurrent-hashes`), [`QUEUE_PER_PERMIT`] times as many
//! wait, and further ones are rejected. Both are shared fairly among client networks. Verification
//! takes the same time whether or not the user exists, so that its duration does not reveal which
//! accounts exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use entity::secret::PasswordHash;
use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;

use super::password_strength::{self, NewPassword, Weakness};
use crate::error::{Error, UserErrorKind};
use crate::limits::{AttemptPermit, ClientNetwork, FairSemaphore};

/// Maximum number of queued hashes for each concurrent one.
const QUEUE_PER_PERMIT: usize = 16;
/// Longest wait for a permit. The request timeout usually ends it earlier.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Hashes and verifies passwords. Clones share the limits.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    /// Verified in place of the hash of a user who does not exist or has none.
    dummy_hash: Arc<str>,
    /// Permits to compute a hash.
    permits: FairSemaphore<ClientNetwork>,
    /// Lowest score of a new password, 0 to 4.
    min_score: u8,
    hashes_total: Arc<AtomicU64>,
}

impl Passwords {
    /// A hasher that computes at most `max_concurrent` hashes at a time.
    ///
    /// # Errors
    /// When argon2 rejects the parameters.
    pub fn new(params: Params, max_concurrent: usize) -> Result<Self> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy_hash = hash(&argon2, "dummy password")?;
        Ok(Self {
            argon2,
            dummy_hash: dummy_hash.into(),
            permits: FairSemaphore::new(max_concurrent, max_concurrent * QUEUE_PER_PERMIT),
            min_score: 0,
            hashes_total: Arc::default(),
        })
    }

    /// The same, with the lowest score of a new password, 0 to 4.
    #[must_use]
    pub fn with_min_score(self, min_score: u8) -> Self {
        Self { min_score, ..self }
    }

    /// Number of hashes that are being computed or queued.
    pub fn in_flight(&self) -> usize {
        self.permits.in_use() + self.permits.waiting()
    }

    /// Number of hashes computed since the start.
    pub fn hashes_total(&self) -> u64 {
        self.hashes_total.load(Ordering::Relaxed)
    }

    /// Hashes a password with a new salt. Returns the PHC string to store.
    ///
    /// # Errors
    /// [`UserErrorKind::TooManyRequests`] when the queue is full; [`Error::Internal`] when argon2
    /// fails.
    pub async fn hash(
        &self,
        password: SecretString,
        attempt: &AttemptPermit,
    ) -> Result<PasswordHash, Error> {
        let argon2 = self.argon2.clone();
        let hashes_total = Arc::clone(&self.hashes_total);
        let work = move || {
            hashes_total.fetch_add(1, Ordering::Relaxed);
            hash(&argon2, normalize(&password).expose_secret())
        };
        stored(self.run(attempt, work).await?)
    }

    /// Hashes a password that a user chooses, unless it is easy to guess.
    ///
    /// # Errors
    /// [`UserErrorKind::InvalidInput`] when it is; otherwise as [`Self::hash`].
    pub async fn hash_new(
        &self,
        password: NewPassword,
        attempt: &AttemptPermit,
    ) -> Result<PasswordHash, Error> {
        let NewPassword { text, words, path } = password;
        let (argon2, min_score) = (self.argon2.clone(), self.min_score);
        let hashes_total = Arc::clone(&self.hashes_total);
        // The estimate takes longer than a request may occupy a thread of the runtime.
        let work = move || {
            let text = normalize(&text);
            password_strength::check(text.expose_secret(), &words, min_score)?;
            hashes_total.fetch_add(1, Ordering::Relaxed);
            Ok(hash(&argon2, text.expose_secret()))
        };
        match self.run(attempt, work).await? {
            Ok(hashed) => stored(hashed),
            Err(Weakness(reason)) => Err(UserErrorKind::InvalidInput.at(path, reason).into()),
        }
    }

    /// Whether `password` has the hash `stored`.
    ///
    /// For `None` the result is `false`, after the time of a verification.
    ///
    /// # Errors
    /// [`UserErrorKind::TooManyRequests`] when the queue is full; [`Error::Internal`] when the
    /// thread panics.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
        attempt: &AttemptPermit,
    ) -> Result<bool, Error> {
        let argon2 = self.argon2.clone();
        let dummy_hash = Arc::clone(&self.dummy_hash);
        let hashes_total = Arc::clone(&self.hashes_total);
        self.run(attempt, move || {
            let has_hash = stored.is_some();
            let hash = stored.as_ref().map_or(&*dummy_hash, |stored| &stored.0);
            let matches = phc::PasswordHash::new(hash).is_ok_and(|hash| {
                hashes_total.fetch_add(1, Ordering::Relaxed);
                let password = normalize(&password);
                argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
            });
            has_hash && matches
        })
        .await
    }

    /// Runs `work` on a blocking thread, once a permit is free.
    async fn run<T: Send + 'static>(
        &self,
        attempt: &AttemptPermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let permit = self.permits.acquire(attempt.network(), 0, MAX_WAIT).await.map_err(|_| {
            let retry_after = Duration::from_secs(1);
            let kind = UserErrorKind::TooManyRequests { retry_after };
            let message = "The server is processing too many passwords. Try again in 1 second.";
            Error::from(kind.at(&[], message))
        })?;
        let work = move || {
            // Held by the thread, which continues when the request is cancelled.
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "password hashing panicked");
            Error::Internal
        })
    }
}

/// The password in Unicode Normalization Form C, as RFC 8265 says.
///
/// Keyboards and operating systems differ in how they enter characters such as é.
fn normalize(password: &SecretString) -> SecretString {
    password.expose_secret().nfc().collect::<String>().into()
}

/// The hash to store. A failure is logged.
fn stored(hashed: Result<String>) -> Result<PasswordHash, Error> {
    hashed.map(PasswordHash).map_err(|error| {
        tracing::error!(%error, "could not hash a password");
        Error::Internal
    })
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String> {
    let hash = argon2.hash_password(password.as_bytes());
    Ok(hash.map_err(|error| anyhow::anyhow!("{error}"))?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cheap_params(max_concurrent: usize) -> Passwords {
        Passwords::new(Params::new(8, 1, 1, None).unwrap(), max_concurrent).unwrap()
    }

    #[tokio::test]
    async fn only_the_hashed_password_is_verified() {
        let passwords = with_cheap_params(1);
        let stored = passwords.hash("cat".into(), &AttemptPermit::unlimited()).await.unwrap();
        assert!(stored.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(!format!("{stored:?}").contains("argon2id"));
        assert!(
            !passwords
                .verify("dog".into(), Some(stored.clone()), &AttemptPermit::unlimited())
                .await
                .unwrap()
        );
        assert!(
            passwords
                .verify("cat".into(), Some(stored), &AttemptPermit::unlimited())
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("dummy password".into(), None, &AttemptPermit::unlimited())
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(
                    "cat".into(),
                    Some(PasswordHash("not a hash".into())),
                    &AttemptPermit::unlimited()
                )
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn requests_beyond_the_queue_are_rejected() {
        let passwords = with_cheap_params(1);
        let permit =
            passwords.permits.acquire(ClientNetwork::default(), 0, MAX_WAIT).await.unwrap();
        let requests: Vec<_> = (0..30)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move {
                    passwords.hash("cat".into(), &AttemptPermit::unlimited()).await
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(permit);
        let mut rejected = 0;
        for request in requests {
            rejected += usize::from(request.await.unwrap().is_err());
        }
        assert_eq!(rejected, 30 - 16);
    }
}
