//! Passwords: argon2id, on threads of its own, only so many at a time.
//!
//! Each hash takes the configured memory (19 MiB by default), so no more run than there are cores,
//! a bounded number waits, and the rest is refused. Verifying costs the same whether or not there is
//! such a user.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use entity::secret::PasswordHash;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::Attempt;
use crate::error::{Error, UserErrorKind};

/// How many hashings may wait for each one that runs.
const QUEUE_PER_PERMIT: usize = 16;

#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    /// Verified in place of the password of a user who is not there.
    nobody: Arc<str>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    most: usize,
    hashed: Arc<AtomicU64>,
}

impl Passwords {
    /// # Errors
    /// When argon2 cannot work with these parameters.
    pub fn new(params: Params, parallel: usize) -> Result<Self> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, "nobody's password")?;
        let most = parallel * (QUEUE_PER_PERMIT + 1);
        Ok(Self {
            most,
            argon2,
            nobody: nobody.into(),
            running: Arc::new(Semaphore::new(parallel)),
            admitted: Arc::new(Semaphore::new(most)),
            hashed: Arc::default(),
        })
    }

    /// How many hashings are admitted: they run, or wait.
    pub fn at_work(&self) -> usize {
        self.most - self.admitted.available_permits()
    }

    /// How many hashes have been computed since the start.
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// The PHC string to store, with a salt of its own.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS` when too many others are waiting.
    pub async fn hash(&self, password: SecretString, _: &Attempt) -> Result<PasswordHash, Error> {
        let argon2 = self.argon2.clone();
        self.hashed.fetch_add(1, Ordering::Relaxed);
        let hashed = self.run(move || hash(&argon2, password.expose_secret())).await?;
        hashed.map(PasswordHash).map_err(|error| {
            tracing::error!(%error, "argon2 failed");
            Error::Internal
        })
    }

    /// Whether `password` is the one behind `stored`. Never true for `None`, and no faster.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS` when too many others are waiting.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
        _: &Attempt,
    ) -> Result<bool, Error> {
        let argon2 = self.argon2.clone();
        let nobody = Arc::clone(&self.nobody);
        let hashed = Arc::clone(&self.hashed);
        self.run(move || {
            let known = stored.is_some();
            let stored = stored.as_ref().map_or(&*nobody, |stored| &stored.0);
            let matches = phc::PasswordHash::new(stored).is_ok_and(|stored| {
                hashed.fetch_add(1, Ordering::Relaxed);
                argon2.verify_password(password.expose_secret().as_bytes(), &stored).is_ok()
            });
            known && matches
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            let retry_after = Duration::from_secs(1);
            let kind = UserErrorKind::TooManyRequests { retry_after };
            return Err(kind.at(&[], "Too many people are signing in. Try again.").into());
        };
        let running = Arc::clone(&self.running).acquire_owned().await;
        let work = move || {
            let _running = running;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a hashing thread failed");
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

    fn cheap(parallel: usize) -> Passwords {
        Passwords::new(Params::new(8, 1, 1, None).unwrap(), parallel).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_told_from_another() {
        let passwords = cheap(1);
        let stored = passwords.hash("cat".into(), &Attempt::of_operator()).await.unwrap();
        assert!(stored.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(!format!("{stored:?}").contains("argon2id"));
        assert!(
            !passwords
                .verify("dog".into(), Some(stored.clone()), &Attempt::of_operator())
                .await
                .unwrap()
        );
        assert!(
            passwords.verify("cat".into(), Some(stored), &Attempt::of_operator()).await.unwrap()
        );
        assert!(
            !passwords
                .verify("nobody's password".into(), None, &Attempt::of_operator())
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(
                    "cat".into(),
                    Some(PasswordHash("not a hash".into())),
                    &Attempt::of_operator()
                )
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let passwords = cheap(1);
        let running = Arc::clone(&passwords.running).acquire_owned().await.unwrap();
        let crowd: Vec<_> = (0..30)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(
                    async move { passwords.hash("cat".into(), &Attempt::of_operator()).await },
                )
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(running);
        let mut refused = 0;
        for one in crowd {
            refused += usize::from(one.await.unwrap().is_err());
        }
        assert_eq!(refused, 30 - 17);
    }
}
