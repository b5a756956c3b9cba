//! The social graph as plain lists, and the rules of its changes.
//!
//! The oldest entry of a list is the first. A user is a number: the position in the list of users
//! that the test has registered. Posts, feed items and notifications are numbers, too: their
//! positions in the lists of all that were created.
//!
//! The rules are written anew here, as plain scans, and use no code of the service.

mod conversation;
mod feed;
mod mentions;
mod notices;
mod pairs;
mod posts;
mod relationships;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use self::feed::Item;
use self::notices::{End, Notice};
use self::pairs::Pairs;
use self::posts::Post;

pub use self::feed::{Filter, Replies};
pub use self::words::{Query, Term};

/// The code of a user error.
pub type Code = &'static str;

/// The expected state of the service.
#[derive(Default)]
pub struct Graph {
    /// Users whose accounts have not been deleted.
    pub users: BTreeSet<usize>,
    pub protected: BTreeSet<usize>,
    /// Follower and followed user.
    pub follows: Pairs,
    /// Requester, and the user whom the requester asks to follow.
    pub requests: Pairs,
    /// Blocker and blocked user.
    pub blocks: Pairs,
    /// Muter and muted user.
    pub mutes: Pairs,
    /// User and bookmarked post.
    pub bookmarks: Pairs,
    /// User and liked post.
    pub likes: Pairs,
    /// All posts, deleted ones included.
    pub posts: Vec<Post>,
    /// All posts and reposts in the order of timelines, those that ended included.
    pub feed: Vec<Item>,
    /// All notifications, those that ended included.
    pub notices: Vec<Notice>,
    /// The newest notification that a user has read, by user.
    read_notices: BTreeMap<usize, usize>,
    /// The newest feed item that a user has read, with its cursor, by user.
    pub markers: BTreeMap<usize, (usize, String)>,
}

/// The username of a user. The names sort as the numbers do.
pub fn name(user: usize) -> String {
    format!("user_{user:02}")
}

impl Graph {
    pub fn new(users: usize) -> Self {
        Self { users: (0..users).collect(), ..Self::default() }
    }

    /// Whether one of two users blocks the other.
    pub fn is_blocked(&self, one: usize, other: usize) -> bool {
        self.blocks.contains(one, other) || self.blocks.contains(other, one)
    }

    /// Whether a viewer may see the posts and lists of a user.
    ///
    /// `None` is an anonymous client.
    pub fn may_see(&self, viewer: Option<usize>, user: usize) -> bool {
        let is_permitted = |viewer: usize| viewer == user || self.follows.contains(viewer, user);
        !self.protected.contains(&user) || viewer.is_some_and(is_permitted)
    }

    /// Whether a post exists and the viewer may see it.
    pub fn may_see_post(&self, viewer: Option<usize>, post: usize) -> bool {
        let post = &self.posts[post];
        !post.is_deleted && self.may_see(viewer, post.author)
    }

    /// Protects a user, or ends the protection. Requests stay.
    pub fn protect(&mut self, user: usize, is_protected: bool) {
        if is_protected {
            self.protected.insert(user);
        } else {
            self.protected.remove(&user);
        }
    }

    /// Deletes an account with everything that refers to it.
    pub fn delete_user(&mut self, user: usize) {
        for post in self.posts_of(user) {
            self.delete_post(post);
        }
        for item in self.feed.iter_mut().filter(|item| item.actor == user) {
            item.is_gone = true;
        }
        for post in &mut self.posts {
            post.mentions.retain(|mention| mention.user != user);
        }
        self.end_notices(End::Deleted, |cause| [cause.recipient, cause.actor].contains(&user));
        self.bookmarks.retain(|owner, _| owner != user);
        self.likes.retain(|owner, _| owner != user);
        for pairs in [&mut self.follows, &mut self.requests, &mut self.blocks, &mut self.mutes] {
            pairs.retain(|one, other| one != user && other != user);
        }
        self.markers.remove(&user);
        self.read_notices.remove(&user);
        self.protected.remove(&user);
        self.users.remove(&user);
    }
}
