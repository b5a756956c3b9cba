//! The likes and reposts of a generated graph.
//!
//! Most of them are of posts of popular authors, by active users, and within a day of the post. Of
//! an author's posts, newer ones have more. The numbers of all posts are chosen first, and then the
//! users for one post after the other, so that no pair of user and post has to be remembered.

use std::iter::repeat_with;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::ProgressBar;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;

use super::contacts::Contacts;
use super::graph::{self, Ranking};
use super::writing::Posts;
use crate::command::bulk::{Bulk, ROWS_PER_STATEMENT, Reaction};
use crate::ids::snowflake;

/// Number of random posts to try for each reaction.
const TRIES_PER_REACTION: usize = 8;

/// Longest time from a post to a reaction.
const MAX_DELAY: TimeDelta = TimeDelta::days(2);

/// What a user does with a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReactionKind {
    Like,
    Repost,
}

impl ReactionKind {
    /// The table of the reactions.
    const fn table(self) -> &'static str {
        match self {
            Self::Like => r#""like""#,
            Self::Repost => "feed_item",
        }
    }
}

/// The graph whose posts get reactions.
pub struct Reactions<'a> {
    /// Ids by index.
    pub users: &'a [i64],
    pub posts: &'a Posts,
    pub popular: &'a Ranking,
    pub active: &'a Ranking,
    pub contacts: &'a Contacts,
}

/// The reactions of one kind that were added.
#[derive(Debug, Default)]
pub struct Added {
    pub count: u64,
    /// The ids of the posts that have them.
    pub posts: Vec<i64>,
}

/// The time of a reaction, and the indexes of the user and of the post.
type Pending = (DateTime<Utc>, u32, usize);

impl Reactions<'_> {
    /// Adds `count` reactions of one kind, or as many as the users can have.
    pub async fn add(
        &self,
        bulk: &Bulk<'_>,
        (kind, count): (ReactionKind, u64),
        rng: &mut ChaCha8Rng,
        progress: &ProgressBar,
    ) -> Result<Added> {
        let mut added = Added::default();
        let mut pending: Vec<Pending> = Vec::with_capacity(ROWS_PER_STATEMENT);
        let degrees = self.degrees(kind, count, rng);
        for (post, degree) in degrees.into_iter().enumerate().filter(|(_, degree)| *degree > 0) {
            added.count += u64::from(degree);
            added.posts.push(self.posts.ids[post]);
            for actor in self.pick_actors(self.posts.authors[post], degree as usize, rng) {
                pending.push((self.time(post, rng), actor, post));
                if pending.len() == ROWS_PER_STATEMENT {
                    self.write(bulk, kind, &mut pending).await?;
                    progress.inc(ROWS_PER_STATEMENT as u64);
                }
            }
        }
        let rest = pending.len() as u64;
        self.write(bulk, kind, &mut pending).await?;
        progress.inc(rest);
        Ok(added)
    }

    /// The number of reactions of each post.
    fn degrees(&self, kind: ReactionKind, count: u64, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut degrees: Vec<u32> = vec![0; self.posts.ids.len()];
        let mut first_free = 0;
        for _ in 0..count {
            let has_free = |post: usize| (degrees[post] as usize) < self.capacity(kind, post);
            let mut picked = repeat_with(|| self.pick_post(rng)).take(TRIES_PER_REACTION).flatten();
            let post = picked.find(|post| has_free(*post)).or_else(|| {
                first_free = (first_free..degrees.len()).find(|post| has_free(*post))?;
                Some(first_free)
            });
            let Some(post) = post else { break };
            degrees[post] += 1;
        }
        degrees
    }

    /// The largest number of reactions of a post.
    fn capacity(&self, kind: ReactionKind, post: usize) -> usize {
        let author = self.posts.authors[post];
        let is_protected = self.contacts.followers_of_protected(author).is_some();
        match kind {
            ReactionKind::Repost if is_protected => 0,
            ReactionKind::Like | ReactionKind::Repost => self.contacts.count_allowed(author),
        }
    }

    /// The index of a post of a popular author, rather a newer than an older one.
    fn pick_post(&self, rng: &mut ChaCha8Rng) -> Option<usize> {
        let own = &self.posts.by_author[self.popular.pick(rng) as usize];
        if own.is_empty() {
            return None;
        }
        let (one, other) = (rng.random_range(0..own.len()), rng.random_range(0..own.len()));
        Some(own[one.max(other)] as usize)
    }

    /// Different users other than the author who may react to the author's posts.
    fn pick_actors(&self, author: u32, count: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
        if let Some(followers) = self.contacts.followers_of_protected(author) {
            let mut followers = followers.to_vec();
            return followers.partial_shuffle(rng, count).0.to_vec();
        }
        let is_allowed = |user| self.contacts.is_allowed(user, author);
        graph::pick_others((author, count), self.active, rng, is_allowed)
    }

    /// A random time after a post, rather sooner than later.
    fn time(&self, post: usize, rng: &mut ChaCha8Rng) -> DateTime<Utc> {
        let created_at = snowflake::timestamp_of(self.posts.ids[post]);
        let rest = self.posts.end.timestamp_millis() - created_at.timestamp_millis();
        let span = rest.clamp(0, MAX_DELAY.num_milliseconds());
        let fraction = rng.random::<u32>().min(rng.random::<u32>());
        created_at + TimeDelta::milliseconds((span * i64::from(fraction)) >> u32::BITS)
    }

    /// Writes the pending reactions in the order of their times.
    async fn write(
        &self,
        bulk: &Bulk<'_>,
        kind: ReactionKind,
        pending: &mut Vec<Pending>,
    ) -> Result<()> {
        pending.sort_unstable();
        let times: Vec<_> = pending.iter().map(|(time, ..)| *time).collect();
        let ids = bulk.ids_in_order(kind.table(), &times).await?;
        let reaction = |(id, (_, actor, post)): (i64, Pending)| Reaction {
            id,
            actor: self.users[actor as usize],
            post: self.posts.ids[post],
        };
        let rows: Vec<Reaction> = ids.into_iter().zip(pending.drain(..)).map(reaction).collect();
        match kind {
            ReactionKind::Like => bulk.add_likes(&rows).await.context("cannot add the likes"),
            ReactionKind::Repost => bulk.add_reposts(&rows).await.context("cannot add the reposts"),
        }
    }
}
