//! Posts with their bookmarks and likes.
//!
//! Most changes return whether anything changed.

use std::collections::BTreeSet;

use super::feed::Item;
use super::mentions::Mention;
use super::notices::{Cause, End, Kind};
use super::{Code, Graph};

/// A post, which may have been deleted.
pub struct Post {
    /// The global id.
    pub id: String,
    pub author: usize,
    pub body: String,
    /// The post that it replies to, which may have been deleted.
    pub parent: Option<usize>,
    /// In the order of the text.
    pub mentions: Vec<Mention>,
    pub is_deleted: bool,
}

impl Post {
    fn mentioned_users(&self) -> BTreeSet<usize> {
        self.mentions.iter().map(|mention| mention.user).collect()
    }
}

/// Lists.
impl Graph {
    /// The posts that exist and fulfil a condition, newest first.
    pub(super) fn posts_with(&self, condition: impl Fn(&Post) -> bool) -> Vec<usize> {
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
}

/// Changes.
impl Graph {
    /// Adds a post with the id that the service has assigned.
    ///
    /// It notifies the users whom it mentions, and the author of the post that it replies to.
    pub fn add_post(&mut self, author: usize, id: &str, body: &str, parent: Option<usize>) {
        let post = self.posts.len();
        let mentions = self.mentions_in(author, body);
        let (id, body) = (id.to_owned(), body.to_owned());
        self.posts.push(Post { id, author, body, parent, mentions, is_deleted: false });
        self.feed.push(Item { actor: author, post, is_repost: false, is_gone: false });
        for user in self.posts[post].mentioned_users() {
            self.notify(Cause::of_post(Kind::Mention, author, user, post));
        }
        if let Some(parent) = parent {
            let recipient = self.posts[parent].author;
            self.notify(Cause::of_post(Kind::Reply, author, recipient, post));
        }
    }

    /// Replaces the body of a post, and finds the mentions in it anew.
    pub fn edit_post(&mut self, post: usize, body: &str) -> bool {
        if self.posts[post].body == body {
            return false;
        }
        let author = self.posts[post].author;
        let mentions = self.mentions_in(author, body);
        let before = self.posts[post].mentioned_users();
        self.posts[post].mentions = mentions;
        body.clone_into(&mut self.posts[post].body);
        let after = self.posts[post].mentioned_users();
        for user in before.difference(&after) {
            self.withdraw(Cause::of_post(Kind::Mention, author, *user, post));
        }
        for user in after.difference(&before) {
            self.notify(Cause::of_post(Kind::Mention, author, *user, post));
        }
        true
    }

    /// Deletes a post with its bookmarks, likes, reposts and notifications.
    ///
    /// Its replies stay.
    pub fn delete_post(&mut self, post: usize) {
        self.posts[post].is_deleted = true;
        self.bookmarks.retain(|_, bookmarked| bookmarked != post);
        self.likes.retain(|_, liked| liked != post);
        for item in self.feed.iter_mut().filter(|item| item.post == post) {
            item.is_gone = true;
        }
        self.end_notices(End::Deleted, |cause| cause.post == Some(post));
    }

    pub fn bookmark(&mut self, viewer: usize, post: usize) -> bool {
        self.bookmarks.insert(viewer, post)
    }

    pub fn unbookmark(&mut self, viewer: usize, post: usize) -> bool {
        self.bookmarks.remove(viewer, post)
    }

    /// Likes a post. A block prevents a new like only.
    pub fn like(&mut self, viewer: usize, post: usize) -> Result<bool, Code> {
        let author = self.posts[post].author;
        let is_new = !self.likes.contains(viewer, post);
        if is_new && self.is_blocked(viewer, author) {
            return Err("BLOCKED");
        }
        if self.likes.insert(viewer, post) {
            self.notify(Cause::of_post(Kind::Like, viewer, author, post));
        }
        Ok(is_new)
    }

    pub fn unlike(&mut self, viewer: usize, post: usize) -> bool {
        let changed = self.likes.remove(viewer, post);
        if changed {
            let author = self.posts[post].author;
            self.withdraw(Cause::of_post(Kind::Like, viewer, author, post));
        }
        changed
    }
}
