//! Tests of [`Loader`]: missing keys, and failed, panicking or cancelled batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Doubles even keys. Key 13 panics, and key 99 fails the batch.
struct Doubling {
    batches: Arc<AtomicUsize>,
}

impl Batch for Doubling {
    type Key = i64;
    type Value = i64;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, i64>, Error> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert!(!keys.contains(&13), "a panic in the batch");
        if keys.contains(&99) {
            return Err(Error::Unavailable);
        }
        let even = keys.iter().filter(|key| *key % 2 == 0);
        Ok(even.map(|key| (*key, key * 2)).collect())
    }
}

fn doubling() -> (Loader<Doubling>, Arc<AtomicUsize>) {
    let batches = Arc::new(AtomicUsize::new(0));
    let loader = Loader::new(&Arc::default(), Doubling { batches: Arc::clone(&batches) });
    (loader, batches)
}

#[tokio::test]
async fn concurrent_keys_are_one_batch_and_a_missing_key_is_none() {
    let (loader, batches) = doubling();
    let results = futures_util::future::join_all((1_000..2_000).map(|key| loader.load(key))).await;
    assert_eq!(results[10], Ok(Some(2_020)));
    assert_eq!(results[11], Ok(None));
    assert_eq!(batches.load(Ordering::Relaxed), 1);
    loader.load(1_010).await.unwrap();
    assert_eq!(batches.load(Ordering::Relaxed), 1, "the key is cached");
    loader.inner.clear_all().await;
    loader.load(1_010).await.unwrap();
    assert_eq!(batches.load(Ordering::Relaxed), 2, "the cache is empty");
}

#[tokio::test]
async fn failed_batch_fails_each_of_its_keys() {
    let (loader, _) = doubling();
    let results = futures_util::future::join_all([loader.load(2), loader.load(99)]).await;
    assert_eq!(results, [Err(Error::Unavailable), Err(Error::Unavailable)]);
}

#[tokio::test]
async fn panic_in_a_batch_is_an_internal_error() {
    let (loader, _) = doubling();
    let results = futures_util::future::join_all([loader.load(2), loader.load(13)]).await;
    assert_eq!(results, [Err(Error::Internal), Err(Error::Internal)]);
    assert_eq!(loader.load(4).await, Ok(Some(8)), "the loader can still be used");
}

#[tokio::test]
async fn dropping_the_leading_key_does_not_lose_other_keys() {
    let (loader, batches) = doubling();
    let loader = Arc::new(loader);
    let mut leader = Box::pin(loader.load(2));
    let follower = tokio::spawn({
        let loader = Arc::clone(&loader);
        async move { loader.load(4).await }
    });
    // Poll the leader until its batch, which includes the follower's key, has begun. Then drop it.
    while batches.load(Ordering::Relaxed) == 0 {
        let _ = futures_util::poll!(&mut leader);
        tokio::task::yield_now().await;
    }
    drop(leader);
    assert_eq!(follower.await.unwrap(), Ok(Some(8)));
}
