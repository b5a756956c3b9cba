//! A timeline with subscribers, and the users that decide what it shows.
//!
//! The users are sorted lists. Most timelines are watched by one subscriber, and lists take less
//! memory than sets.

use std::collections::HashSet;

use super::authors::Authors;

/// A timeline that has at least one subscriber.
#[derive(Default)]
pub struct WatchedTimeline {
    /// The owner and all users whom the owner follows, sorted.
    pub followed: Vec<i64>,
    /// Users whom the owner mutes, sorted.
    pub muted: Vec<i64>,
    /// Users whom the owner blocks, or who block the owner, sorted.
    pub blocked: Vec<i64>,
    /// Ids of its subscribers.
    pub watchers: HashSet<u64>,
}

impl WatchedTimeline {
    fn follows(&self, author: i64) -> bool {
        self.followed.binary_search(&author).is_ok()
    }

    pub fn shows(&self, author: i64) -> bool {
        self.follows(author) && self.muted.binary_search(&author).is_err()
    }

    pub fn authors(&self) -> Authors {
        let set = |ids: &[i64]| ids.iter().copied().collect();
        Authors {
            followed: set(&self.followed),
            muted: set(&self.muted),
            blocked: set(&self.blocked),
        }
    }

    /// Whether the timeline shows reposts of posts of this user, if these are public.
    pub fn shows_reposts_of(&self, author: i64) -> bool {
        let hides = [&self.followed, &self.muted, &self.blocked];
        !hides.iter().any(|users| users.binary_search(&author).is_ok())
    }

    /// Users whose posts the timeline shows.
    pub fn shown(&self) -> impl Iterator<Item = i64> {
        self.followed.iter().copied().filter(|author| self.muted.binary_search(author).is_err())
    }
}
