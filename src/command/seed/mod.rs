//! `seed`: generated users, follows and posts, as many as asked for and skewed as real ones are: a
//! few users have most of the followers, and a few write most of the posts.
//!
//! The same numbers and the same rng seed give the same graph; only times are relative to now.
//! Users joined the year before last, so that everybody was there when the follows and posts of the
//! last year were made. Adds to what is there: generated usernames avoid the ones in use.

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

use super::bulk::Bulk;
use super::indexes::{self, Which};
use super::progress;
use crate::database::Database;

pub use demo::demo;

/// More rows of a kind than this are surely a slip of the hand.
const MOST_ROWS: u64 = 10_000_000;
const YEAR: TimeDelta = TimeDelta::days(365);

/// What to generate.
#[derive(Args, Clone, Copy, Debug)]
pub struct Plan {
    /// How many users to add
    #[arg(long, env = "ROOKERY_SEED_USERS", default_value_t = 1_000, value_name = "N")]
    pub users: u32,

    /// How many users each one follows, on average; less than the number of users
    #[arg(long, env = "ROOKERY_SEED_FOLLOWS_PER_USER", default_value_t = 50, value_name = "M")]
    pub follows_per_user: u32,

    /// How many posts each one writes, on average
    #[arg(long, env = "ROOKERY_SEED_POSTS_PER_USER", default_value_t = 20, value_name = "K")]
    pub posts_per_user: u32,

    /// The same seed and numbers make the same graph
    #[arg(long, env = "ROOKERY_SEED_RNG_SEED", default_value_t = 1, value_name = "S")]
    pub rng_seed: u64,
}

/// How many rows a seed added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub users: u64,
    pub follows: u64,
    pub posts: u64,
}

/// Adds what `plan` asks for, or nothing.
///
/// # Errors
/// When the numbers make no sense, or when the database refuses.
pub async fn run(db: &Database, plan: &Plan, progress: &ProgressBar) -> Result<Summary> {
    let planned = plan.check()?;
    progress::rows(progress, planned.users + planned.follows + planned.posts);
    let mut rng = ChaCha8Rng::seed_from_u64(plan.rng_seed);
    let bulk = Bulk::begin(db).await?;
    progress.set_message("users");
    let users = people::add(&bulk, plan.users, &mut rng, progress).await?;
    let everybody: Vec<u32> = (0..plan.users).collect();
    let popular = graph::Ranking::shuffled(&everybody, graph::POPULARITY, &mut rng)?;
    let active = graph::Ranking::shuffled(&everybody, graph::ACTIVITY, &mut rng)?;
    progress.set_message("follows");
    let edges = graph::edges(&active, &popular, planned.follows, &mut rng);
    let indexes = indexes::set_aside(&bulk, "follow", Which::All, planned.follows).await?;
    graph::add(&bulk, &users, &edges, &mut rng, progress).await?;
    indexes.put_back(&bulk).await.context("cannot index the follows")?;
    progress.set_message("posts");
    let indexes = indexes::set_aside(&bulk, "post", Which::All, planned.posts).await?;
    writing::add(&bulk, &users, &active, planned.posts, &mut rng, progress).await?;
    indexes.put_back(&bulk).await.context("cannot index the posts")?;
    progress.set_message("counting");
    bulk.recount(&users).await.context("cannot set the users' counts")?;
    bulk.commit().await?;
    Ok(planned)
}

impl Plan {
    fn check(&self) -> Result<Summary> {
        ensure!(self.users > 0, "there must be at least one user to seed");
        ensure!(
            self.follows_per_user < self.users,
            "{} users can follow at most {} others each, not {}",
            self.users,
            self.users - 1,
            self.follows_per_user
        );
        let rows = |what: &str, each: u32| {
            let rows = u64::from(self.users) * u64::from(each);
            ensure!(rows <= MOST_ROWS, "{rows} {what} are too many; {MOST_ROWS} is the most");
            Ok(rows)
        };
        Ok(Summary {
            users: rows("users", 1)?,
            follows: rows("follows", self.follows_per_user)?,
            posts: rows("posts", self.posts_per_user)?,
        })
    }
}

/// A year cut into as many equal pieces as there are rows, each row at some moment of its own
/// piece: moments rise, and no two rows share a millisecond.
struct Year {
    start: DateTime<Utc>,
    piece: i64,
}

impl Year {
    /// The year that ends now.
    fn last(rows: u64) -> Self {
        let piece = YEAR.num_milliseconds() / i64::try_from(rows.max(1)).unwrap_or(i64::MAX);
        Self { start: Utc::now() - YEAR, piece: piece.max(1) }
    }

    /// The year before that.
    fn before_last(rows: u64) -> Self {
        let last = Self::last(rows);
        Self { start: last.start - YEAR, ..last }
    }

    fn moment(&self, row: usize, rng: &mut ChaCha8Rng) -> DateTime<Utc> {
        let row = i64::try_from(row).unwrap_or(i64::MAX);
        let millis = row.saturating_mul(self.piece) + rng.random_range(0..self.piece);
        self.start + TimeDelta::milliseconds(millis)
    }
}
