//! `rookery seed`: adds generated users, follows and posts.
//!
//! Followers and posts are distributed as in real networks: few users have most of them. The same
//! options, including the seed of the random number generator, generate the same graph; only its
//! times are relative to now. Users are registered in the year before last, and the follows and
//! posts are of the last year, so each user is older than its follows and posts. The database need
//! not be empty: generated usernames avoid existing ones.

mod demo;
mod graph;
mod people;
#[cfg(test)]
mod tests;
mod writing;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use indicatif::ProgressBar;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::clock;
use crate::command::bulk::Bulk;
use crate::command::indexes::IndexSet;
use crate::command::{indexes, progress};
use crate::database::Database;

pub use demo::demo;

/// Maximum number of rows of one kind.
///
/// It keeps a typing error from filling the disk.
const MAX_ROWS: u64 = 10_000_000;
const YEAR: TimeDelta = TimeDelta::days(365);

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

    /// Seed of the random number generator; the same options generate the same graph
    #[arg(long, env = "ROOKERY_SEED_RNG_SEED", default_value_t = 1, value_name = "SEED")]
    pub rng_seed: u64,
}

/// Numbers of rows that were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub users: u64,
    pub follows: u64,
    pub posts: u64,
}

/// Adds a generated graph in one transaction.
///
/// # Errors
/// When the options are out of range; any error of the database.
pub async fn run(db: &Database, options: &SeedOptions, progress: &ProgressBar) -> Result<Summary> {
    let planned = options.plan()?;
    progress::rows(progress, planned.users + planned.follows + planned.posts);
    let mut rng = ChaCha8Rng::seed_from_u64(options.rng_seed);
    let bulk = Bulk::begin(db).await?;
    progress.set_message("users");
    let users = people::add(&bulk, options.users, &mut rng, progress).await?;
    let numbers: Vec<u32> = (0..options.users).collect();
    let popular = graph::Ranking::shuffled(&numbers, graph::POPULARITY, &mut rng)?;
    let active = graph::Ranking::shuffled(&numbers, graph::ACTIVITY, &mut rng)?;
    progress.set_message("follows");
    let follows = graph::follows(&active, &popular, planned.follows, &mut rng);
    let indexes = indexes::drop_indexes(&bulk, "follow", IndexSet::All, planned.follows).await?;
    graph::add(&bulk, &users, &follows, &mut rng, progress).await?;
    indexes.recreate(&bulk).await.context("cannot create the indexes of the follows")?;
    progress.set_message("posts");
    let indexes = indexes::drop_indexes(&bulk, "post", IndexSet::All, planned.posts).await?;
    writing::add(&bulk, &users, &active, planned.posts, &mut rng, progress).await?;
    indexes.recreate(&bulk).await.context("cannot create the indexes of the posts")?;
    progress.set_message("counts");
    bulk.recount(&users).await.context("cannot set the users' counts")?;
    bulk.commit().await?;
    Ok(planned)
}

impl SeedOptions {
    /// The numbers of rows to add.
    fn plan(&self) -> Result<Summary> {
        ensure!(self.users > 0, "--users must be at least 1");
        ensure!(
            self.follows_per_user < self.users,
            "--follows-per-user must be less than --users: {} is not less than {}",
            self.follows_per_user,
            self.users
        );
        let rows = |table: &str, per_user: u32| {
            let rows = u64::from(self.users) * u64::from(per_user);
            ensure!(rows <= MAX_ROWS, "{rows} {table} exceed the maximum of {MAX_ROWS}");
            Ok(rows)
        };
        Ok(Summary {
            users: rows("users", 1)?,
            follows: rows("follows", self.follows_per_user)?,
            posts: rows("posts", self.posts_per_user)?,
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

    /// The time of the row with this index.
    fn timestamp(&self, row: usize, rng: &mut ChaCha8Rng) -> DateTime<Utc> {
        let row = i64::try_from(row).unwrap_or(i64::MAX);
        let millis = row.saturating_mul(self.interval) + rng.random_range(0..self.interval);
        self.start + TimeDelta::milliseconds(millis)
    }
}
