//! Per-key state that lives exactly as long as its key is in use.
//!
//! [`Keyed`] maps a key, such as a user or a client network, to state that all holders of the key
//! share. The first holder creates the entry; the last one that is dropped evicts it. Memory is
//! therefore bounded by what is in use, and no periodic clean-up is needed. [`KeyedSemaphore`] is
//! built on it. Permits per user or network live here; rate-limit balances live in `RateLimiter`,
//! which evicts full ones every minute.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;

/// A map whose entries are evicted with their last holder. Clones share one map.
#[derive(Debug)]
pub struct Keyed<K, V>(Arc<Mutex<HashMap<K, Shared<V>>>>);

#[derive(Debug)]
struct Shared<V> {
    holders: usize,
    value: Arc<V>,
}

/// One holder of a key's state.
#[derive(Debug)]
pub struct KeyedEntry<K: Copy + Eq + Hash, V> {
    map: Keyed<K, V>,
    key: K,
    value: Arc<V>,
}

impl<K: Copy + Eq + Hash, V> Keyed<K, V> {
    /// Adds a holder to `key`, whose state is created by `new` if there is none.
    pub fn entry(&self, key: K, new: impl FnOnce() -> V) -> KeyedEntry<K, V> {
        let mut map = self.0.lock();
        let shared = map.entry(key).or_insert_with(|| Shared { holders: 0, value: new().into() });
        shared.holders += 1;
        KeyedEntry { map: self.clone(), key, value: Arc::clone(&shared.value) }
    }

    /// Number of keys that have a holder.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Copy + Eq + Hash, V> KeyedEntry<K, V> {
    pub fn key(&self) -> K {
        self.key
    }
}

impl<K: Copy + Eq + Hash, V> Deref for KeyedEntry<K, V> {
    type Target = Arc<V>;

    fn deref(&self) -> &Arc<V> {
        &self.value
    }
}

impl<K: Copy + Eq + Hash, V> Drop for KeyedEntry<K, V> {
    fn drop(&mut self) {
        let mut map = self.map.0.lock();
        if let Some(shared) = map.get_mut(&self.key) {
            shared.holders -= 1;
            if shared.holders == 0 {
                map.remove(&self.key);
            }
        }
    }
}

impl<K, V> Clone for Keyed<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// A counting semaphore for each key. Clones share the counts.
#[derive(Debug)]
pub struct KeyedSemaphore<K>(Keyed<K, ()>);

/// One permit of a key, released when it is dropped.
#[derive(Debug)]
pub struct KeyedPermit<K: Copy + Eq + Hash>(KeyedEntry<K, ()>);

impl<K: Copy + Eq + Hash> KeyedSemaphore<K> {
    /// A permit for `key`, or `None` if the key holds `limit` permits already.
    pub fn try_acquire(&self, key: K, limit: usize) -> Option<KeyedPermit<K>> {
        let mut map = self.0.0.lock();
        let shared = map.entry(key).or_insert_with(|| Shared { holders: 0, value: Arc::new(()) });
        if shared.holders >= limit {
            if shared.holders == 0 {
                map.remove(&key);
            }
            return None;
        }
        shared.holders += 1;
        let value = Arc::clone(&shared.value);
        Some(KeyedPermit(KeyedEntry { map: self.0.clone(), key, value }))
    }

    /// Number of permits that all keys hold together.
    pub fn in_use(&self) -> usize {
        self.0.0.lock().values().map(|shared| shared.holders).sum()
    }
}

impl<K: Copy + Eq + Hash> KeyedPermit<K> {
    pub fn key(&self) -> K {
        self.0.key()
    }
}

impl<K> Clone for KeyedSemaphore<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for KeyedSemaphore<K> {
    fn default() -> Self {
        Self(Keyed::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semaphore_limits_each_key_and_evicts_idle_keys() {
        let semaphore = KeyedSemaphore::default();
        let john = [semaphore.try_acquire("john", 2), semaphore.try_acquire("john", 2)];
        assert!(john.iter().all(Option::is_some) && semaphore.try_acquire("john", 2).is_none());
        let susan = semaphore.try_acquire("susan", 1);
        assert!(susan.is_some());
        assert_eq!(semaphore.in_use(), 3);
        assert!(semaphore.try_acquire("mary", 0).is_none());
        drop(john);
        assert!(semaphore.try_acquire("john", 2).is_some());
        drop(susan);
        assert!(semaphore.0.is_empty(), "an entry without holders is evicted");
    }

    #[test]
    fn entries_of_one_key_share_their_state_until_the_last_is_dropped() {
        let map = Keyed::default();
        let first = map.entry("john", || Mutex::new(1));
        let second = map.entry("john", || Mutex::new(2));
        *first.lock() += 10;
        drop(first);
        assert_eq!((*second.lock(), map.len()), (11, 1));
        drop(second);
        assert_eq!(*map.entry("john", || Mutex::new(2)).lock(), 2);
        assert!(map.is_empty());
    }

    #[test]
    fn threads_that_share_a_key_leave_no_entry() {
        let map = Keyed::<u32, ()>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|n| drop(map.entry(n % 2, || ()))));
            }
        });
        assert!(map.is_empty());
    }
}
