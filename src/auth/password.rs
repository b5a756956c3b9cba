//! Password hashing with argon2id, on blocking threads with bounded concurrency.
//!
//! Each hash takes the configured memory (19 MiB by default) and occupies a core. The number of
//! concurrent hashes is limited (`--max-concurrent-hashes`), [`QUEUE_PER_PERMIT`] times as many
//! wait, and further ones are rejected. Verification takes the same time whether or not the user
//! exists, so that its duration does not reveal which accounts exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use entity::secret::PasswordHash;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use crate::error::{Error, UserErrorKind};
use crate::limits::AttemptPermit;

/// Maximum number of queued hashes for each concurrent one.
const QUEUE_PER_PERMIT: usize = 16;

/// Hashes and verifies passwords. Clones share the limits.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    /// Verified in place of the hash of a user who does not exist or has none.
    dummy_hash: Arc<str>,
    /// Permits to compute a hash.
    permits: Arc<Semaphore>,
    /// Permits to compute a hash or to wait for it.
    queue: Arc<Semaphore>,
    /// Number of permits of `queue`.
    capacity: usize,
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
        let capacity = max_concurrent * (QUEUE_PER_PERMIT + 1);
        Ok(Self {
            capacity,
            argon2,
            dummy_hash: dummy_hash.into(),
            permits: Arc::new(Semaphore::new(max_concurrent)),
            queue: Arc::new(Semaphore::new(capacity)),
            hashes_total: Arc::default(),
        })
    }

    /// Number of hashes that are being computed or queued.
    pub fn in_flight(&self) -> usize {
        self.capacity - self.queue.available_permits()
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
        _: &AttemptPermit,
    ) -> Result<PasswordHash, Error> {
        let argon2 = self.argon2.clone();
        self.hashes_total.fetch_add(1, Ordering::Relaxed);
        let hashed = self.run(move || hash(&argon2, password.expose_secret())).await?;
        hashed.map(PasswordHash).map_err(|error| {
            tracing::error!(%error, "could not hash a password");
            Error::Internal
        })
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
        _: &AttemptPermit,
    ) -> Result<bool, Error> {
        let argon2 = self.argon2.clone();
        let dummy_hash = Arc::clone(&self.dummy_hash);
        let hashes_total = Arc::clone(&self.hashes_total);
        self.run(move || {
            let has_hash = stored.is_some();
            let hash = stored.as_ref().map_or(&*dummy_hash, |stored| &stored.0);
            let matches = phc::PasswordHash::new(hash).is_ok_and(|hash| {
                hashes_total.fetch_add(1, Ordering::Relaxed);
                argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
            });
            has_hash && matches
        })
        .await
    }

    /// Runs `work` on a blocking thread, once a permit is free.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(_queue_permit) = self.queue.try_acquire() else {
            let retry_after = Duration::from_secs(1);
            let kind = UserErrorKind::TooManyRequests { retry_after };
            let message = "The server is processing too many passwords. Try again in 1 second.";
            return Err(kind.at(&[], message).into());
        };
        let permit = Arc::clone(&self.permits).acquire_owned().await;
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
        let permit = Arc::clone(&passwords.permits).acquire_owned().await.unwrap();
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
        assert_eq!(rejected, 30 - 17);
    }
}
