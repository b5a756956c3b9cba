//! Feed items, which are posts and reposts, and the lists that show them.

use serde_json::{Value, json};

use super::notices::{Cause, Kind};
use super::{Code, Graph};

/// A post of its author, or a repost.
pub struct Item {
    /// The author, or the user who reposted.
    pub actor: usize,
    pub post: usize,
    pub is_repost: bool,
    /// Whether the post was deleted, or the repost withdrawn.
    pub is_gone: bool,
}

/// Which replies a timeline shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    All,
    ToFollowed,
    None,
}

/// What a timeline shows.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    pub include_own: bool,
    pub replies: Replies,
    pub include_reposts: bool,
}

impl Filter {
    /// The filter that shows everything.
    pub const ALL: Self = Self { include_own: true, replies: Replies::All, include_reposts: true };

    /// The value of the argument `filter` of `timeline`.
    pub fn argument(self) -> Value {
        let replies = match self.replies {
            Replies::All => "ALL",
            Replies::ToFollowed => "TO_FOLLOWED",
            Replies::None => "NONE",
        };
        let Self { include_own, include_reposts, .. } = self;
        json!({
            "includeOwn": include_own,
            "replies": replies,
            "includeReposts": include_reposts,
        })
    }
}

/// Lists.
impl Graph {
    /// The items that exist and fulfil a condition, newest first.
    fn items_with(&self, condition: impl Fn(&Item) -> bool) -> Vec<usize> {
        let is_listed = |item: &usize| {
            let item = &self.feed[*item];
            !item.is_gone && condition(item)
        };
        (0..self.feed.len()).rev().filter(is_listed).collect()
    }

    /// Whether the timeline of `owner` has the posts of `author`.
    pub fn shows(&self, owner: usize, author: usize) -> bool {
        let is_followed = self.follows.contains(owner, author);
        owner == author || is_followed && !self.mutes.contains(owner, author)
    }

    /// Whether the timeline of `owner` has reposts of posts of `author`.
    ///
    /// It has the posts of the owner and of followed users in any case.
    fn shows_reposts_of(&self, owner: usize, author: usize) -> bool {
        owner != author
            && !self.follows.contains(owner, author)
            && !self.mutes.contains(owner, author)
            && !self.is_blocked(owner, author)
            && !self.protected.contains(&author)
    }

    /// Whether the timeline of `owner` has an item.
    ///
    /// A viewer may see less.
    fn has_item(&self, owner: usize, item: &Item, filter: Filter) -> bool {
        if !self.shows(owner, item.actor) || item.actor == owner && !filter.include_own {
            return false;
        }
        let post = &self.posts[item.post];
        if item.is_repost {
            return filter.include_reposts && self.shows_reposts_of(owner, post.author);
        }
        let Some(parent) = post.parent else { return true };
        let parent_author = self.posts[parent].author;
        match filter.replies {
            Replies::All => true,
            Replies::ToFollowed => {
                parent_author == owner || self.follows.contains(owner, parent_author)
            }
            Replies::None => false,
        }
    }

    /// The items of the timeline of `owner` that a viewer may see, newest first.
    pub fn timeline(&self, owner: usize, viewer: Option<usize>, filter: Filter) -> Vec<usize> {
        if !self.may_see(viewer, owner) {
            return vec![];
        }
        self.items_with(|item| {
            self.has_item(owner, item, filter) && self.may_see(viewer, item.actor)
        })
    }

    /// The items of a user that a viewer may see, newest first.
    ///
    /// `replies` and `reposts` say whether these are listed.
    pub fn items_of(
        &self,
        user: usize,
        viewer: Option<usize>,
        (replies, reposts): (bool, bool),
    ) -> Vec<usize> {
        if !self.may_see(viewer, user) {
            return vec![];
        }
        self.items_with(|item| {
            let is_reply = self.posts[item.post].parent.is_some();
            let is_listed = if item.is_repost {
                reposts && self.may_see_post(viewer, item.post)
            } else {
                replies || !is_reply
            };
            item.actor == user && is_listed
        })
    }

    /// The users who have reposted a post, newest repost first.
    pub fn reposters(&self, post: usize) -> Vec<usize> {
        let items = self.items_with(|item| item.is_repost && item.post == post);
        items.into_iter().map(|item| self.feed[item].actor).collect()
    }

    /// The posts that a user has reposted, newest repost first.
    pub fn reposted_by(&self, user: usize) -> Vec<usize> {
        let items = self.items_with(|item| item.is_repost && item.actor == user);
        items.into_iter().map(|item| self.feed[item].post).collect()
    }
}

/// Changes.
impl Graph {
    /// Reposts a post. Blocks and protections prevent new reposts only.
    pub fn repost(&mut self, viewer: usize, post: usize) -> Result<bool, Code> {
        if self.reposters(post).contains(&viewer) {
            return Ok(false);
        }
        let author = self.posts[post].author;
        if self.is_blocked(viewer, author) {
            return Err("BLOCKED");
        }
        if self.protected.contains(&author) && author != viewer {
            return Err("INVALID_INPUT");
        }
        self.feed.push(Item { actor: viewer, post, is_repost: true, is_gone: false });
        self.notify(Cause::of_post(Kind::Repost, viewer, author, post));
        Ok(true)
    }

    pub fn unrepost(&mut self, viewer: usize, post: usize) -> bool {
        let changed = self.reposters(post).contains(&viewer);
        let reposts = self.feed.iter_mut().filter(|item| item.is_repost && item.post == post);
        for item in reposts.filter(|item| item.actor == viewer) {
            item.is_gone = true;
        }
        if changed {
            let author = self.posts[post].author;
            self.withdraw(Cause::of_post(Kind::Repost, viewer, author, post));
        }
        changed
    }

    /// Marks the timeline of a user as read up to an item. The marker never moves back.
    pub fn mark_timeline_read(&mut self, user: usize, item: usize, cursor: &str) -> bool {
        let changed = self.markers.get(&user).is_none_or(|marker| marker.0 < item);
        if changed {
            self.markers.insert(user, (item, cursor.to_owned()));
        }
        changed
    }
}
