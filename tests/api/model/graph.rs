//! The social graph as plain lists, and the rules of its changes.
//!
//! The oldest entry of a list is the first. A user is a number: the position in the list of users
//! that the test has registered. A post is a number, too: its position in the list of all posts
//! that were created.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The code of a user error.
pub type Code = &'static str;

/// Pairs of numbers, oldest first. No pair is in the list twice.
#[derive(Default)]
pub struct Pairs(Vec<(usize, usize)>);

impl Pairs {
    pub fn contains(&self, first: usize, second: usize) -> bool {
        self.0.contains(&(first, second))
    }

    /// Adds a pair. Returns whether it is new.
    fn insert(&mut self, first: usize, second: usize) -> bool {
        let is_new = !self.contains(first, second);
        if is_new {
            self.0.push((first, second));
        }
        is_new
    }

    /// Removes a pair. Returns whether there was one.
    fn remove(&mut self, first: usize, second: usize) -> bool {
        let before = self.0.len();
        self.0.retain(|pair| *pair != (first, second));
        self.0.len() < before
    }

    pub fn all(&self) -> Vec<(usize, usize)> {
        self.0.clone()
    }

    /// All pairs, each with its second number first.
    pub fn all_reversed(&self) -> Vec<(usize, usize)> {
        self.0.iter().map(|(first, second)| (*second, *first)).collect()
    }

    /// The second numbers of the pairs that begin with `first`, newest pair first.
    pub fn after(&self, first: usize) -> Vec<usize> {
        self.0.iter().rev().filter(|pair| pair.0 == first).map(|pair| pair.1).collect()
    }

    /// The first numbers of the pairs that end with `second`, newest pair first.
    pub fn before(&self, second: usize) -> Vec<usize> {
        self.0.iter().rev().filter(|pair| pair.1 == second).map(|pair| pair.0).collect()
    }
}

/// A post, which may have been deleted.
pub struct Post {
    /// The global id.
    pub id: String,
    pub author: usize,
    pub body: String,
    pub is_deleted: bool,
}

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

    /// Whether the timeline of `owner` has the posts of `author`.
    pub fn shows(&self, owner: usize, author: usize) -> bool {
        let is_followed = self.follows.contains(owner, author);
        owner == author || is_followed && !self.mutes.contains(owner, author)
    }

    /// The posts that exist and fulfil a condition, newest first.
    fn posts_with(&self, condition: impl Fn(&Post) -> bool) -> Vec<usize> {
        let is_listed = |post: &usize| {
            let post = &self.posts[*post];
            !post.is_deleted && condition(post)
        };
        (0..self.posts.len()).rev().filter(is_listed).collect()
    }

    /// The posts of a user, newest first, whether or not a viewer may see them.
    pub fn posts_of(&self, author: usize) -> Vec<usize> {
        self.posts_with(|post| post.author == author)
    }

    /// The posts of users who are not protected, newest first.
    pub fn public_posts(&self) -> Vec<usize> {
        self.posts_with(|post| self.may_see(None, post.author))
    }

    /// The posts of the timeline of `owner` that a viewer may see, newest first.
    pub fn timeline(&self, owner: usize, viewer: Option<usize>) -> Vec<usize> {
        if !self.may_see(viewer, owner) {
            return vec![];
        }
        self.posts_with(|post| self.shows(owner, post.author) && self.may_see(viewer, post.author))
    }

    /// The bookmarked posts that the user may see, newest bookmark first.
    pub fn bookmarks_of(&self, user: usize) -> Vec<usize> {
        let posts = self.bookmarks.after(user);
        posts.into_iter().filter(|post| self.may_see_post(Some(user), *post)).collect()
    }

    /// The liked posts that the user may see, newest like first.
    pub fn likes_of(&self, user: usize) -> Vec<usize> {
        let posts = self.likes.after(user);
        posts.into_iter().filter(|post| self.may_see_post(Some(user), *post)).collect()
    }

    /// The fields of `Relationship` that do not contain a time.
    pub fn relationship(&self, viewer: usize, other: usize) -> Value {
        let follows = self.follows.contains(viewer, other);
        let follow_state = if follows {
            "FOLLOWING"
        } else if self.requests.contains(viewer, other) {
            "REQUESTED"
        } else {
            "NOT_FOLLOWING"
        };
        let followed_by = self.follows.contains(other, viewer);
        let can_follow = !self.is_blocked(viewer, other);
        json!({
            "user": { "username": name(other) },
            "followState": follow_state,
            "followedBy": followed_by,
            "requestedBy": self.requests.contains(other, viewer),
            "canFollow": can_follow,
            "cannotFollowReason": (!can_follow).then_some("BLOCKED"),
            "blocking": self.blocks.contains(viewer, other),
            "blockedBy": self.blocks.contains(other, viewer),
            "muting": self.mutes.contains(viewer, other),
            "mutingUntil": null,
            "isMutual": follows && followed_by,
        })
    }
}

/// The changes. Most return whether anything changed.
impl Graph {
    /// Follows a user, or asks to follow a protected user.
    pub fn follow(&mut self, viewer: usize, target: usize) -> Result<bool, Code> {
        if self.is_blocked(viewer, target) {
            return Err("BLOCKED");
        }
        if self.protected.contains(&target) && !self.follows.contains(viewer, target) {
            return Ok(self.requests.insert(viewer, target));
        }
        self.requests.remove(viewer, target);
        Ok(self.follows.insert(viewer, target))
    }

    /// Ends a follow, or withdraws a request.
    pub fn unfollow(&mut self, viewer: usize, target: usize) -> bool {
        self.follows.remove(viewer, target) || self.requests.remove(viewer, target)
    }

    pub fn remove_follower(&mut self, viewer: usize, follower: usize) -> bool {
        self.follows.remove(follower, viewer)
    }

    pub fn accept(&mut self, viewer: usize, requester: usize) -> Result<bool, Code> {
        if self.requests.remove(requester, viewer) {
            self.follows.insert(requester, viewer);
            return Ok(true);
        }
        if self.follows.contains(requester, viewer) { Ok(false) } else { Err("NOT_FOUND") }
    }

    pub fn reject(&mut self, viewer: usize, requester: usize) -> bool {
        self.requests.remove(requester, viewer)
    }

    /// Blocks a user, which ends follows and requests in both directions.
    pub fn block(&mut self, viewer: usize, target: usize) -> bool {
        let mut changed = self.blocks.insert(viewer, target);
        for (one, other) in [(viewer, target), (target, viewer)] {
            changed |= self.follows.remove(one, other);
            changed |= self.requests.remove(one, other);
        }
        changed
    }

    pub fn unblock(&mut self, viewer: usize, target: usize) -> bool {
        self.blocks.remove(viewer, target)
    }

    pub fn mute(&mut self, viewer: usize, target: usize) -> bool {
        self.mutes.insert(viewer, target)
    }

    pub fn unmute(&mut self, viewer: usize, target: usize) -> bool {
        self.mutes.remove(viewer, target)
    }

    pub fn protect(&mut self, viewer: usize, is_protected: bool) {
        if is_protected {
            self.protected.insert(viewer);
        } else {
            self.protected.remove(&viewer);
        }
    }

    /// Adds a post with the id that the service has assigned.
    pub fn add_post(&mut self, author: usize, id: &str, body: &str) {
        let (id, body) = (id.to_owned(), body.to_owned());
        self.posts.push(Post { id, author, body, is_deleted: false });
    }

    /// Replaces the body of a post.
    pub fn edit_post(&mut self, post: usize, body: &str) -> bool {
        let post = &mut self.posts[post];
        let changed = post.body != body;
        body.clone_into(&mut post.body);
        changed
    }

    /// Deletes a post with its bookmarks and likes.
    pub fn delete_post(&mut self, post: usize) {
        self.posts[post].is_deleted = true;
        self.bookmarks.0.retain(|bookmark| bookmark.1 != post);
        self.likes.0.retain(|like| like.1 != post);
    }

    pub fn bookmark(&mut self, viewer: usize, post: usize) -> bool {
        self.bookmarks.insert(viewer, post)
    }

    pub fn unbookmark(&mut self, viewer: usize, post: usize) -> bool {
        self.bookmarks.remove(viewer, post)
    }

    /// Likes a post. A block prevents a new like only.
    pub fn like(&mut self, viewer: usize, post: usize) -> Result<bool, Code> {
        let is_new = !self.likes.contains(viewer, post);
        if is_new && self.is_blocked(viewer, self.posts[post].author) {
            return Err("BLOCKED");
        }
        Ok(self.likes.insert(viewer, post))
    }

    pub fn unlike(&mut self, viewer: usize, post: usize) -> bool {
        self.likes.remove(viewer, post)
    }

    /// Deletes an account with everything that refers to it.
    pub fn delete_user(&mut self, user: usize) {
        for post in self.posts_of(user) {
            self.delete_post(post);
        }
        self.bookmarks.0.retain(|bookmark| bookmark.0 != user);
        self.likes.0.retain(|like| like.0 != user);
        let pairs = [&mut self.follows, &mut self.requests, &mut self.blocks, &mut self.mutes];
        for Pairs(pairs) in pairs {
            pairs.retain(|pair| pair.0 != user && pair.1 != user);
        }
        self.protected.remove(&user);
        self.users.remove(&user);
    }
}
