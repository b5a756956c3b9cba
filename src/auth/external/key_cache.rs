//! The keys of a provider in memory.
//!
//! They are fetched again every hour, and when a token names a key that is not known. The latter is
//! how a new key is found after a rotation. All fetches together are limited, and one runs at a
//! time, so that invented names of keys do not turn clients' requests into requests to the
//! provider. While the provider does not answer, its last keys are used for a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};

use super::keys::KeySet;
use super::provider::Provider;
use crate::error::Error;
use crate::limits::RateLimiter;

/// Age at which keys are fetched again.
const REFRESH_INTERVAL: Duration = Duration::from_hours(1);
/// Age up to which keys are used when no newer ones can be fetched.
const MAX_AGE: Duration = Duration::from_hours(24);
/// Maximum number of fetches per minute.
const FETCHES_PER_MINUTE: u32 = 4;
/// Longest wait of a request for keys.
const MAX_WAIT: Duration = Duration::from_secs(6);
/// Maximum number of requests that wait for keys.
///
/// Each holds a permit of the concurrency limiter. Further ones fail with `UNAVAILABLE`.
const MAX_WAITING: usize = 16;

/// The keys of one provider. Clones share them.
#[derive(Clone)]
pub struct KeyCache(Arc<Inner>);

struct Inner {
    provider: Provider,
    cached: RwLock<Option<Cached>>,
    /// The end of the last fetch. Locked while keys are fetched.
    last_fetch: Arc<Mutex<Option<Instant>>>,
    fetches: RateLimiter<()>,
    waiting: Semaphore,
    failures: AtomicU64,
}

#[derive(Clone)]
struct Cached {
    keys: Arc<KeySet>,
    fetched_at: Instant,
}

impl KeyCache {
    pub fn new(provider: Provider) -> Self {
        Self(Arc::new(Inner {
            provider,
            cached: RwLock::default(),
            last_fetch: Arc::default(),
            fetches: RateLimiter::per_minute(FETCHES_PER_MINUTE),
            waiting: Semaphore::new(MAX_WAITING),
            failures: AtomicU64::new(0),
        }))
    }

    /// Number of fetches that failed since the start.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// The key with this id for an algorithm. `None` if the provider has no such key.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the keys are not known because the provider does not answer, or
    /// when too many requests wait for them.
    pub async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>, Error> {
        let find = |cached: &Cached| cached.keys.find(id, algorithm).cloned();
        let cached = self.cached();
        if let Some(cached) = &cached
            && let Some(key) = find(cached)
        {
            if cached.fetched_at.elapsed() >= REFRESH_INTERVAL {
                self.refresh_in_background();
            }
            return Ok(Some(key));
        }
        let _waiting = self.0.waiting.try_acquire().map_err(|_| Error::Unavailable)?;
        // The fetch continues on its own task when the wait ends.
        let _ = timeout(MAX_WAIT, self.refresh(Instant::now())).await;
        self.cached().map(|cached| find(&cached)).ok_or(Error::Unavailable)
    }

    /// Fetches the keys on a task of its own, unless they are being fetched.
    pub fn refresh_in_background(&self) {
        if self.0.last_fetch.try_lock().is_ok() {
            let (cache, requested_at) = (self.clone(), Instant::now());
            tokio::spawn(async move { cache.refresh(requested_at).await });
        }
    }

    fn cached(&self) -> Option<Cached> {
        self.0.cached.read().clone().filter(|cached| cached.fetched_at.elapsed() < MAX_AGE)
    }

    /// Fetches the keys, unless a fetch has ended since `requested_at`.
    ///
    /// Waits for a fetch that runs. Does nothing if the maximum number of fetches is reached. The
    /// fetch runs on a task of its own, so that clients cannot cancel it.
    async fn refresh(&self, requested_at: Instant) {
        let mut last_fetch = Arc::clone(&self.0.last_fetch).lock_owned().await;
        if last_fetch.is_some_and(|end| end > requested_at) {
            return;
        }
        if self.0.fetches.check(&(), 1).is_err() {
            tracing::debug!("the keys of the identity provider were fetched too often");
            return;
        }
        let inner = Arc::clone(&self.0);
        let fetch = tokio::spawn(async move {
            inner.fetch().await;
            *last_fetch = Some(Instant::now());
        });
        if fetch.await.is_err() {
            tracing::error!("the fetch of the keys of the identity provider panicked");
        }
    }
}

impl Inner {
    async fn fetch(&self) {
        let issuer = self.provider.issuer();
        match self.provider.fetch_keys().await {
            Ok(keys) => {
                tracing::info!(issuer, keys = keys.len(), "fetched the keys of the provider");
                let cached = Cached { keys: Arc::new(keys), fetched_at: Instant::now() };
                *self.cached.write() = Some(cached);
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let error = format!("{error:#}");
                tracing::warn!(issuer, error, "could not fetch the keys of the identity provider");
            }
        }
    }
}
