//! The users of a generated graph who may react to the posts of an author.
//!
//! The author and a user have no contact if one of them blocks the other. Posts of a protected
//! author are for followers, and other users cannot repost them.

use std::collections::HashMap;

use super::graph::UserPair;

/// The contacts of all users.
pub struct Contacts {
    /// Number of users.
    users: usize,
    /// The followers of each protected user, sorted.
    followers: HashMap<u32, Vec<u32>>,
    /// For a user, those who block the user or whom the user blocks, sorted.
    blocked: HashMap<u32, Vec<u32>>,
}

impl Contacts {
    pub fn new(users: usize, protected: &[u32], follows: &[UserPair], blocks: &[UserPair]) -> Self {
        let mut followers: HashMap<u32, Vec<u32>> =
            protected.iter().map(|user| (*user, Vec::new())).collect();
        for (follower, followed) in follows {
            if let Some(followers) = followers.get_mut(followed) {
                followers.push(*follower);
            }
        }
        let mut blocked: HashMap<u32, Vec<u32>> = HashMap::new();
        for (blocker, target) in blocks {
            blocked.entry(*blocker).or_default().push(*target);
            blocked.entry(*target).or_default().push(*blocker);
        }
        for list in followers.values_mut().chain(blocked.values_mut()) {
            list.sort_unstable();
            list.dedup();
        }
        Self { users, followers, blocked }
    }

    /// The followers of a protected author; `None` if the author is not protected.
    pub fn followers_of_protected(&self, author: u32) -> Option<&[u32]> {
        self.followers.get(&author).map(Vec::as_slice)
    }

    /// Whether a user sees the posts of an author and may reply to them.
    pub fn is_allowed(&self, user: u32, author: u32) -> bool {
        let contains = |list: &Vec<u32>| list.binary_search(&user).is_ok();
        user == author
            || (self.followers.get(&author).is_none_or(contains)
                && !self.blocked.get(&author).is_some_and(contains))
    }

    /// Number of other users who see the posts of an author and may like them.
    pub fn count_allowed(&self, author: u32) -> usize {
        let blocked = self.blocked.get(&author).map_or(0, Vec::len);
        let others = self.users.saturating_sub(1 + blocked);
        self.followers_of_protected(author).map_or(others, <[u32]>::len)
    }
}
