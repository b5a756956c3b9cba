//! Places that are few: each somebody has so many of them at a time, and gives them back by leaving. Turns: each somebody has
//! one at a time, and the next waits for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Cheap to clone; all clones count together.
#[derive(Debug)]
pub struct Places<K>(Arc<Mutex<HashMap<K, usize>>>);

/// One of somebody's places, for as long as it is kept.
#[derive(Debug)]
pub struct Place<K: Copy + Eq + Hash> {
    places: Places<K>,
    whose: K,
}

impl<K: Copy + Eq + Hash> Places<K> {
    /// `None` when they have `most` already.
    pub fn enter(&self, whose: K, most: usize) -> Option<Place<K>> {
        let mut taken = self.taken();
        if taken.get(&whose).copied().unwrap_or_default() >= most {
            return None;
        }
        *taken.entry(whose).or_default() += 1;
        Some(Place { places: self.clone(), whose })
    }

    /// How many are taken by all together.
    pub fn count(&self) -> usize {
        self.taken().values().sum()
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Place<K> {
    pub fn whose(&self) -> K {
        self.whose
    }
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(theirs) = taken.get_mut(&self.whose) {
            *theirs -= 1;
            if *theirs == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Turns<K>(Arc<Mutex<HashMap<K, Arc<Semaphore>>>>);

/// Somebody's turn, for as long as it is kept.
#[derive(Debug)]
pub struct Turn<K: Copy + Eq + Hash> {
    turns: Turns<K>,
    whose: K,
    taken: Option<OwnedSemaphorePermit>,
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// Waits until those who came before and are the same somebody have had theirs.
    pub async fn take(&self, whose: K) -> Turn<K> {
        let new = || Arc::new(Semaphore::new(1));
        let own = Arc::clone(self.all().entry(whose).or_insert_with(new));
        let mut turn = Turn { turns: self.clone(), whose, taken: None };
        turn.taken = own.acquire_owned().await.ok();
        turn
    }

    fn all(&self) -> MutexGuard<'_, HashMap<K, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever gives up waiting leaves too.
impl<K: Copy + Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut all = self.turns.all();
        self.taken = None;
        if all.get(&self.whose).is_some_and(|own| Arc::strong_count(own) == 1) {
            all.remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let places = Places::default();
        let john = [places.enter("john", 2), places.enter("john", 2)];
        assert!(john.iter().all(Option::is_some) && places.enter("john", 2).is_none());
        let susan = places.enter("susan", 1);
        assert!(susan.is_some());
        assert_eq!(places.count(), 3);
        assert!(places.enter("mary", 0).is_none());
        drop(john);
        assert!(places.enter("john", 2).is_some());
        drop(susan);
        assert!(places.taken().is_empty(), "nobody is remembered who has none");
    }

    #[tokio::test]
    async fn each_has_one_turn_at_a_time() {
        use futures_util::FutureExt as _;

        let turns = Turns::default();
        let john = turns.take("john").await;
        let mut next = Box::pin(turns.take("john"));
        assert!(next.as_mut().now_or_never().is_none(), "john has his");
        let susan = turns.take("susan").now_or_never();
        assert!(susan.is_some(), "susan waits for nobody");
        let gives_up = Box::pin(turns.take("john"));
        drop((john, gives_up));
        drop(next.await);
        drop(susan);
        assert!(turns.all().is_empty(), "nobody is remembered who has none");
    }
}
