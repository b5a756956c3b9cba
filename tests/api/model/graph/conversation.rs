//! Replies, and the posts before them.

use super::{Code, Graph};

/// Maximum number of ancestors of a post.
const MAX_ANCESTORS: usize = 40;

impl Graph {
    /// Number of replies to a post, including those that a viewer may not see.
    pub fn replies_count(&self, post: usize) -> usize {
        self.posts_with(|reply| reply.parent == Some(post)).len()
    }

    /// The replies to a post that a viewer may see, oldest first.
    pub fn replies(&self, post: usize, viewer: Option<usize>) -> Vec<usize> {
        let mut replies = self
            .posts_with(|reply| reply.parent == Some(post) && self.may_see(viewer, reply.author));
        replies.reverse();
        replies
    }

    /// The post that a post replies to, if the viewer may see it.
    pub fn parent(&self, post: usize, viewer: Option<usize>) -> Option<usize> {
        self.posts[post].parent.filter(|parent| self.may_see_post(viewer, *parent))
    }

    /// The posts before a post in its conversation, oldest first.
    ///
    /// A post that the viewer may not see hides all posts before it.
    pub fn ancestors(&self, post: usize, viewer: Option<usize>) -> Vec<usize> {
        let mut ancestors = vec![];
        let mut next = self.parent(post, viewer);
        while let Some(ancestor) = next.filter(|_| ancestors.len() < MAX_ANCESTORS) {
            ancestors.push(ancestor);
            next = self.parent(ancestor, viewer);
        }
        ancestors.reverse();
        ancestors
    }

    /// Whether the viewer may reply to a post that the viewer may see.
    pub fn may_reply(&self, viewer: Option<usize>, post: usize) -> bool {
        viewer.is_some_and(|viewer| !self.is_blocked(viewer, self.posts[post].author))
    }

    /// The error of a reply to a post, if it may not be made.
    pub fn check_reply(&self, viewer: usize, post: usize) -> Result<(), Code> {
        if !self.may_see_post(Some(viewer), post) {
            return Err("NOT_FOUND");
        }
        if self.may_reply(Some(viewer), post) { Ok(()) } else { Err("BLOCKED") }
    }
}
