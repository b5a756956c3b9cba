//! The replies of a generated graph.
//!
//! Most of them reply to a recent post of a popular author, which can be a reply itself. If no such
//! post is found, the reply is to the post before it.

use std::iter::repeat_with;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::contacts::Contacts;
use super::graph::Ranking;
use super::writing::Posts;

/// Number of random posts to try for each reply.
const TRIES_PER_REPLY: usize = 16;

/// Chooses which posts are replies, and to which posts they reply.
pub struct Replies<'a> {
    pub popular: &'a Ranking,
    pub contacts: &'a Contacts,
    /// A generator of their own, so that the replies do not change the posts.
    pub rng: ChaCha8Rng,
    /// Number of all posts, with those that are not written yet.
    pub posts: u64,
    /// Number of replies that are still to be chosen.
    pub missing: u64,
}

impl Replies<'_> {
    /// The index of the post to which the next post, of this author, replies.
    ///
    /// `None` if the next post is no reply. It is one with the same probability as each later post.
    pub fn choose_parent(&mut self, posts: &Posts, author: u32) -> Option<usize> {
        let Self { popular, contacts, rng, missing, .. } = self;
        let unwritten = self.posts.saturating_sub(posts.ids.len() as u64).max(1);
        if rng.random_range(0..unwritten) >= *missing {
            return None;
        }
        let parent = repeat_with(|| recent_post(posts, popular, rng))
            .take(TRIES_PER_REPLY)
            .flatten()
            .chain(posts.ids.len().checked_sub(1))
            .find(|parent| contacts.is_allowed(author, posts.authors[*parent]));
        *missing -= u64::from(parent.is_some());
        parent
    }
}

/// One of the newest posts of a popular author, if there is one.
///
/// A post is half as likely as the next one of the author.
fn recent_post(posts: &Posts, popular: &Ranking, rng: &mut ChaCha8Rng) -> Option<usize> {
    let own = &posts.by_author[popular.pick(rng) as usize];
    let newer = rng.random::<u32>().trailing_zeros() as usize;
    let last = own.len().checked_sub(1)?;
    Some(own[last.saturating_sub(newer)] as usize)
}
