//! The indexes of the registry: sorted lists and sets of users and subscribers.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use smallvec::SmallVec;

/// Sets of values, indexed by a user's id.
pub type ByUser<T> = HashMap<i64, HashSet<T>>;

/// Sorted lists of the owners of watched timelines, by an author whom they show.
///
/// Most authors are shown by few watched timelines, so a list takes less memory than a set.
pub type ByAuthor = HashMap<i64, SmallVec<[i64; 2]>>;

/// Adds an id to a sorted list.
pub fn insert_sorted(ids: &mut Vec<i64>, id: i64) {
    if let Err(at) = ids.binary_search(&id) {
        ids.insert(at, id);
    }
}

/// Removes an id from a sorted list.
pub fn remove_sorted(ids: &mut Vec<i64>, id: i64) {
    if let Ok(at) = ids.binary_search(&id) {
        ids.remove(at);
    }
}

/// Adds the owner of a watched timeline that shows an author.
pub fn show(owners: &mut ByAuthor, author: i64, owner: i64) {
    let owners = owners.entry(author).or_default();
    if let Err(at) = owners.binary_search(&owner) {
        owners.insert(at, owner);
    }
}

/// Removes the owner of a watched timeline that no longer shows an author.
pub fn hide(owners: &mut ByAuthor, author: i64, owner: i64) {
    let Some(list) = owners.get_mut(&author) else { return };
    if let Ok(at) = list.binary_search(&owner) {
        list.remove(at);
    }
    if list.is_empty() {
        owners.remove(&author);
    }
}

/// Removes a value from a user's set, and the set if it is empty then.
pub fn remove_from<T: Eq + Hash>(index: &mut ByUser<T>, user: i64, value: &T) {
    if let Some(values) = index.get_mut(&user) {
        values.remove(value);
        if values.is_empty() {
            index.remove(&user);
        }
    }
}
