//! `rookery seed`: adds generated users, their posts, reactions and relationships.
//!
//! Followers, posts and likes are distributed as in real networks: few users have most of them. The
//! same options, including the seed of the random number generator, generate the same graph; only
//! its times are relative to now. Users are registered in the year before last, and everything else
//! is of the last year, so each user is older than its follows and posts. The database need not be
//! empty: generated usernames avoid existing ones.

mod contacts;
mod demo;
mod graph;
mod people;
mod reactions;
mod relationships;
mod replies;
#[cfg(test)]
mod tests;
mod writing;

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use indicatif::ProgressBar;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::clock;
use crate::command::bulk::{Bulk, PairTable};
use crate::command::indexes::IndexSet;
use crate::command::{indexes, progress};
use crate::database::Database;

use contacts::Contacts;
use reactions::{ReactionKind, Reactions};
use relationships::Network;
use replies::Replies;

pub use demo::demo;

/// Maximum number of rows of one kind.
///
/// It keeps a typing error from filling the disk.
const MAX_ROWS: u64 = 10_000_000;
const YEAR: TimeDelta = TimeDelta::days(365);

/// The stream of random numbers for relationships other than follows.
const RELATIONSHIP_STREAM: u64 = 1;
/// The streams of random numbers for replies, likes and reposts.
const REPLY_STREAM: u64 = 2;
const LIKE_STREAM: u64 = 3;
const REPOST_STREAM: u64 = 4;

/// The size of the generated graph.
#[derive(Args, Clone, Copy, Debug)]
pub struct SeedOptions {
    /// Number of users to add
    #[arg(long, env = "ROOKERY_SEED_USERS", default_value_t = 1_000, value_name = "N")]
    pub users: u32,

    /// Average number of users that each user follows; less than --users
    #[arg(long, env = "ROOKERY_SEED_FOLLOWS_PER_USER", default_value_t = 50, value_name = "N")]
    pub follows_per_user: u32,

    /// Average number of posts of each user
    #[arg(long, env = "ROOKERY_SEED_POSTS_PER_USER", default_value_t = 20, value_name = "N")]
    pub posts_per_user: u32,

    /// Percentage of the posts that are replies
    #[arg(long, env = "ROOKERY_SEED_REPLIES_PERCENT", default_value_t = 30, value_name = "N")]
    pub replies_percent: u32,

    /// Average number of likes of each post
    #[arg(long, env = "ROOKERY_SEED_LIKES_PER_POST", default_value_t = 5, value_name = "N")]
    pub likes_per_post: u32,

    /// Number of reposts for 100 posts
    #[arg(
        long,
        env = "ROOKERY_SEED_REPOSTS_PER_100_POSTS",
        default_value_t = 10,
        value_name = "N"
    )]
    pub reposts_per_100_posts: u32,

    /// Percentage of the users whose account is protected
    #[arg(long, env = "ROOKERY_SEED_PROTECTED_PERCENT", default_value_t = 3, value_name = "N")]
    pub protected_percent: u32,

    /// Number of blocks for 100 users, between users who do not follow each other
    #[arg(long, env = "ROOKERY_SEED_BLOCKS_PER_100_USERS", default_value_t = 20, value_name = "N")]
    pub blocks_per_100_users: u32,

    /// Number of requests to follow for 100 users; none without protected users
    #[arg(
        long,
        env = "ROOKERY_SEED_REQUESTS_PER_100_USERS",
        default_value_t = 20,
        value_name = "N"
    )]
    pub requests_per_100_users: u32,

    /// Number of mutes for 100 users
    #[arg(long, env = "ROOKERY_SEED_MUTES_PER_100_USERS", default_value_t = 50, value_name = "N")]
    pub mutes_per_100_users: u32,

    /// Seed of the random number generator; the same options generate the same graph
    #[arg(long, env = "ROOKERY_SEED_RNG_SEED", default_value_t = 1, value_name = "SEED")]
    pub rng_seed: u64,
}

/// Numbers of rows that were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub users: u64,
    /// Those of the users whose account is protected.
    pub protected_users: u64,
    pub follows: u64,
    pub posts: u64,
    /// Those of the posts that are replies.
    pub replies: u64,
    pub likes: u64,
    pub reposts: u64,
    pub blocks: u64,
    pub requests: u64,
    pub mutes: u64,
}

impl Summary {
    fn rows(&self) -> u64 {
        let relationships = self.follows + self.blocks + self.requests + self.mutes;
        self.users + relationships + self.posts + self.likes + self.reposts
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, protected_users, follows, posts, replies, .. } = self;
        let Self { likes, reposts, blocks, requests, mutes, .. } = self;
        write!(out, "{users} users ({protected_users} protected), {follows} follows, ")?;
        write!(out, "{posts} posts ({replies} replies), {likes} likes, {reposts} reposts, ")?;
        write!(out, "{blocks} blocks, {requests} follow requests, {mutes} mutes")
    }
}

/// Adds a generated graph in one transaction.
///
/// If too few users or posts allow a relationship, a reply, a like or a repost, there are fewer
/// than the options say.
///
/// # Errors
/// When the options are out of range; any error of the database.
pub async fn run(db: &Database, options: &SeedOptions, progress: &ProgressBar) -> Result<Summary> {
    let planned = options.plan()?;
    progress::rows(progress, planned.rows());
    let mut rng = ChaCha8Rng::seed_from_u64(options.rng_seed);
    // A second generator, so that the numbers of other relationships do not change the follows.
    let mut second_rng = options.rng(RELATIONSHIP_STREAM);
    let bulk = Bulk::begin(db).await?;
    progress.set_message("users");
    let users = people::add(&bulk, options.users, &mut rng, progress).await?;
    let protected =
        relationships::protect(&bulk, &users, planned.protected_users, &mut second_rng).await?;
    let numbers: Vec<u32> = (0..options.users).collect();
    let popular = graph::Ranking::shuffled(&numbers, graph::POPULARITY, &mut rng)?;
    let active = graph::Ranking::shuffled(&numbers, graph::ACTIVITY, &mut rng)?;
    progress.set_message("follows");
    let follows = graph::follows(&active, &popular, planned.follows, &mut rng);
    let indexes = indexes::drop_indexes(&bulk, "follow", IndexSet::All, planned.follows).await?;
    graph::add(&bulk, PairTable::Follow, &users, &follows, &mut rng, progress).await?;
    indexes.recreate(&bulk).await.context("cannot create the indexes of the follows")?;
    let network = Network::new(&active, &popular, protected.clone(), follows)?;
    let chosen = network.choose(&planned, &mut second_rng);
    let contacts = Contacts::new(users.len(), &protected, network.follows(), &chosen.blocks);
    progress.set_message("posts");
    let indexes = indexes::drop_indexes(&bulk, "post", IndexSet::All, planned.posts).await?;
    let mut replies = Replies {
        popular: &popular,
        contacts: &contacts,
        rng: options.rng(REPLY_STREAM),
        posts: planned.posts,
        missing: planned.replies,
    };
    let choose_parent = |posts: &writing::Posts, author| replies.choose_parent(posts, author);
    let authors = (&active, planned.posts);
    let posts = writing::add(&bulk, &users, authors, choose_parent, &mut rng, progress).await?;
    indexes.recreate(&bulk).await.context("cannot create the indexes of the posts")?;
    let missing_replies = replies.missing;
    let graph = Reactions {
        users: &users,
        posts: &posts,
        popular: &popular,
        active: &active,
        contacts: &contacts,
    };
    progress.set_message("likes");
    let indexes = indexes::drop_indexes(&bulk, "like", IndexSet::All, planned.likes).await?;
    let (kind, mut like_rng) = (ReactionKind::Like, options.rng(LIKE_STREAM));
    let likes = graph.add(&bulk, (kind, planned.likes), &mut like_rng, progress).await?;
    indexes.recreate(&bulk).await.context("cannot create the indexes of the likes")?;
    progress.set_message("reposts");
    let (kind, mut repost_rng) = (ReactionKind::Repost, options.rng(REPOST_STREAM));
    let reposts = graph.add(&bulk, (kind, planned.reposts), &mut repost_rng, progress).await?;
    progress.set_message("relationships");
    for (table, pairs) in chosen.tables() {
        graph::add(&bulk, table, &users, pairs, &mut second_rng, progress).await?;
    }
    progress.set_message("counts");
    bulk.recount(&users).await.context("cannot set the users' counts")?;
    let mut counted = [posts.parents, likes.posts, reposts.posts].concat();
    counted.sort_unstable();
    counted.dedup();
    bulk.recount_posts(&counted).await.context("cannot set the posts' counts")?;
    bulk.commit().await?;
    Ok(Summary {
        replies: planned.replies - missing_replies,
        likes: likes.count,
        reposts: reposts.count,
        blocks: chosen.blocks.len() as u64,
        requests: chosen.requests.len() as u64,
        mutes: chosen.mutes.len() as u64,
        ..planned
    })
}

impl SeedOptions {
    /// The generator of a stream of random numbers.
    fn rng(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng_seed);
        rng.set_stream(stream);
        rng
    }

    /// The numbers of rows to add.
    fn plan(&self) -> Result<Summary> {
        ensure!(self.users > 0, "--users must be at least 1");
        ensure!(
            self.follows_per_user < self.users,
            "--follows-per-user must be less than --users: {} is not less than {}",
            self.follows_per_user,
            self.users
        );
        ensure!(self.protected_percent <= 100, "--protected-percent must be at most 100");
        ensure!(self.replies_percent <= 100, "--replies-percent must be at most 100");
        let users = u64::from(self.users);
        let rows = |kind: &str, rows: u64| {
            ensure!(rows <= MAX_ROWS, "{rows} {kind} exceed the maximum of {MAX_ROWS}");
            Ok(rows)
        };
        let per_user = |number: u32| users * u64::from(number);
        let posts = per_user(self.posts_per_user);
        let per_post = |number: u32| posts * u64::from(number);
        Ok(Summary {
            users: rows("users", users)?,
            protected_users: per_user(self.protected_percent) / 100,
            follows: rows("follows", per_user(self.follows_per_user))?,
            posts: rows("posts", posts)?,
            replies: per_post(self.replies_percent) / 100,
            likes: rows("likes", per_post(self.likes_per_post))?,
            reposts: rows("reposts", per_post(self.reposts_per_100_posts) / 100)?,
            blocks: rows("blocks", per_user(self.blocks_per_100_users) / 100)?,
            requests: rows("follow requests", per_user(self.requests_per_100_users) / 100)?,
            mutes: rows("mutes", per_user(self.mutes_per_100_users) / 100)?,
        })
    }
}

/// A year, divided into an interval for each row.
///
/// The time of a row is random within its interval. So times increase from row to row, and no two
/// rows share a millisecond.
struct TimeRange {
    start: DateTime<Utc>,
    /// Length of an interval in milliseconds.
    interval: i64,
}

impl TimeRange {
    /// The year that ends now.
    fn last_year(rows: u64) -> Self {
        let interval = YEAR.num_milliseconds() / i64::try_from(rows.max(1)).unwrap_or(i64::MAX);
        Self { start: clock::now() - YEAR, interval: interval.max(1) }
    }

    /// The year that ends a year ago.
    fn year_before_last(rows: u64) -> Self {
        let last = Self::last_year(rows);
        Self { start: last.start - YEAR, ..last }
    }

    fn end(&self) -> DateTime<Utc> {
        self.start + YEAR
    }

    /// The time of the row with this index.
    fn timestamp(&self, row: usize, rng: &mut ChaCha8Rng) -> DateTime<Utc> {
        let row = i64::try_from(row).unwrap_or(i64::MAX);
        let millis = row.saturating_mul(self.interval) + rng.random_range(0..self.interval);
        self.start + TimeDelta::milliseconds(millis)
    }
}
