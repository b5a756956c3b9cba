//! How many sockets each user has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct Sockets(Arc<Mutex<HashMap<i64, usize>>>);

/// Of one socket, for as long as it is open.
pub struct Place {
    sockets: Sockets,
    user: Option<i64>,
}

impl Sockets {
    /// `None` when the user has `most` already. Nobody's sockets are not counted.
    pub fn enter(&self, user: Option<i64>, most: usize) -> Option<Place> {
        if let Some(user) = user {
            let mut open = self.open();
            let mine = open.entry(user).or_default();
            if *mine >= most {
                return None;
            }
            *mine += 1;
        }
        Some(Place { sockets: self.clone(), user })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(user) = self.user else { return };
        let mut open = self.sockets.open();
        if let Some(mine) = open.get_mut(&user) {
            *mine -= 1;
            if *mine == 0 {
                open.remove(&user);
            }
        }
    }
}
