//! The follows of a generated graph, and how its pairs of users are added.
//!
//! Popularity and activity follow Zipf's law: they fall as 1/rank^s. So the 100th user has a small
//! fraction of the followers of the first, and the many users of the last ranks hardly differ.

use std::collections::HashSet;
use std::iter::zip;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use rand::distr::Distribution as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;
use rand_distr::Zipf;

use super::TimeRange;
use crate::command::bulk::{Bulk, Pair, PairTable, ROWS_PER_STATEMENT};

/// Exponent of Zipf's law for the number of a user's followers.
pub const POPULARITY: f64 = 0.7;
/// Exponent of Zipf's law for the numbers of a user's follows and posts.
pub const ACTIVITY: f64 = 0.6;

/// Indexes of an actor and of a target, such as a follower and the followed user.
pub type UserPair = (u32, u32);

/// Users by rank, each picked with the probability of its rank by Zipf's law.
pub struct Ranking {
    /// Indexes of the users.
    users: Vec<u32>,
    distribution: Zipf<f64>,
}

impl Ranking {
    /// Ranks `users` in their order.
    ///
    /// # Errors
    /// When there are no users.
    pub fn new(users: Vec<u32>, exponent: f64) -> Result<Self> {
        let count = u32::try_from(users.len()).context("too many users to rank")?;
        let distribution =
            Zipf::new(f64::from(count), exponent).context("cannot rank the users")?;
        Ok(Self { users, distribution })
    }

    /// Ranks `users` in random order.
    pub fn shuffled(users: &[u32], exponent: f64, rng: &mut ChaCha8Rng) -> Result<Self> {
        let mut users = users.to_vec();
        users.shuffle(rng);
        Self::new(users, exponent)
    }

    /// A random user.
    pub fn pick(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.users[self.rank(rng)]
    }

    /// A random index into `users`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the distribution's values are whole numbers from 1 to the number of users"
    )]
    fn rank(&self, rng: &mut ChaCha8Rng) -> usize {
        (self.distribution.sample(rng) as usize).clamp(1, self.users.len()) - 1
    }
}

/// `count` different follows in random order.
///
/// `followed` must contain all followers. `count` must not exceed the number of possible follows.
pub fn follows(
    followers: &Ranking,
    followed: &Ranking,
    count: u64,
    rng: &mut ChaCha8Rng,
) -> Vec<UserPair> {
    let max = followed.users.len().saturating_sub(1);
    let mut follows = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    for (follower, degree) in followers.users.iter().zip(degrees(followers, max, count, rng)) {
        let others = pick_others((*follower, degree), followed, rng, |_| true);
        follows.extend(others.into_iter().map(|other| (*follower, other)));
    }
    follows.shuffle(rng);
    follows
}

/// The number of users that each user of the ranking follows, at most `max`.
///
/// The numbers are in the order of the ranks.
fn degrees(ranking: &Ranking, max: usize, count: u64, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut degrees = vec![0; ranking.users.len()];
    let mut first_free = 0;
    for _ in 0..count {
        let mut rank = ranking.rank(rng);
        if degrees[rank] >= max {
            // This user follows all others already, so the first user that does not is taken.
            first_free += degrees[first_free..].iter().take_while(|degree| **degree >= max).count();
            if first_free == degrees.len() {
                break;
            }
            rank = first_free;
        }
        degrees[rank] += 1;
    }
    degrees
}

/// `count` different random users other than `user` who are allowed.
///
/// There are fewer if fewer are allowed.
pub fn pick_others(
    (user, count): (u32, usize),
    ranking: &Ranking,
    rng: &mut ChaCha8Rng,
    is_allowed: impl Fn(u32) -> bool,
) -> Vec<u32> {
    let mut excluded = HashSet::from([user]);
    let mut others = Vec::with_capacity(count);
    let mut tries = 8 * count;
    while others.len() < count && tries > 0 {
        tries -= 1;
        let other = ranking.pick(rng);
        if is_allowed(other) && excluded.insert(other) {
            others.push(other);
        }
    }
    // If `count` is close to all users, random picks would repeat the same users for too long.
    let rest = ranking.users.iter().filter(|other| is_allowed(**other) && excluded.insert(**other));
    let missing = count - others.len();
    others.extend(rest.take(missing));
    others
}

/// Adds pairs in their order, at random times of the last year.
///
/// `users` are ids by index.
pub async fn add(
    bulk: &Bulk<'_>,
    table: PairTable,
    users: &[i64],
    pairs: &[UserPair],
    rng: &mut ChaCha8Rng,
    progress: &ProgressBar,
) -> Result<()> {
    let year = TimeRange::last_year(pairs.len() as u64);
    for (chunk, pairs) in pairs.chunks(ROWS_PER_STATEMENT).enumerate() {
        let times: Vec<_> = (0..pairs.len())
            .map(|row| year.timestamp(chunk * ROWS_PER_STATEMENT + row, rng))
            .collect();
        let ids = bulk.ids_at(table.name(), &times).await?;
        let rows: Vec<Pair> = zip(ids, pairs)
            .map(|(id, (actor, target))| Pair {
                id,
                actor: users[*actor as usize],
                target: users[*target as usize],
            })
            .collect();
        let added = bulk.add_pairs(table, &rows).await;
        added.with_context(|| format!("cannot add the {}", table.plural()))?;
        progress.inc(rows.len() as u64);
    }
    Ok(())
}
