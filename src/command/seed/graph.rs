//! Who follows whom in a generated graph. Popularity and activity fall off as 1/rank^s (the law of
//! Zipf): the hundredth user has a small fraction of what the first has, and the many at the end
//! hardly differ.

use std::collections::HashSet;
use std::iter::zip;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use rand::distr::Distribution as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;
use rand_distr::Zipf;

use super::Year;
use crate::command::bulk::{Bulk, CHUNK, Follow};

/// How steeply followers and activity fall off from the first user to the last.
pub const POPULARITY: f64 = 0.7;
pub const ACTIVITY: f64 = 0.6;

/// Users by their numbers, those who are picked most often first.
pub struct Ranking {
    users: Vec<u32>,
    law: Zipf<f64>,
}

impl Ranking {
    /// # Errors
    /// When there are no users.
    pub fn new(users: Vec<u32>, exponent: f64) -> Result<Self> {
        let count = u32::try_from(users.len()).context("too many users to rank")?;
        let law = Zipf::new(f64::from(count), exponent).context("cannot rank the users")?;
        Ok(Self { users, law })
    }

    pub fn shuffled(users: &[u32], exponent: f64, rng: &mut ChaCha8Rng) -> Result<Self> {
        let mut users = users.to_vec();
        users.shuffle(rng);
        Self::new(users, exponent)
    }

    pub fn pick(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.users[self.rank(rng)]
    }

    /// A place in `users`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the law gives whole numbers from 1 to the number of users"
    )]
    fn rank(&self, rng: &mut ChaCha8Rng) -> usize {
        (self.law.sample(rng) as usize).clamp(1, self.users.len()) - 1
    }
}

/// `count` different edges from `followers` to `followed`, in no order. `followed` must have all of
/// the followers and `count` must leave each of them enough others to follow.
pub fn edges(
    followers: &Ranking,
    followed: &Ranking,
    count: u64,
    rng: &mut ChaCha8Rng,
) -> Vec<(u32, u32)> {
    let most = followed.users.len().saturating_sub(1);
    let mut edges = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    for (follower, degree) in followers.users.iter().zip(degrees(followers, most, count, rng)) {
        edges
            .extend(others(*follower, degree, followed, rng).into_iter().map(|to| (*follower, to)));
    }
    edges.shuffle(rng);
    edges
}

/// How many each of the ranking's users follows, by rank.
fn degrees(ranking: &Ranking, most: usize, count: u64, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut degrees = vec![0; ranking.users.len()];
    let mut roomy = 0;
    for _ in 0..count {
        let mut rank = ranking.rank(rng);
        if degrees[rank] >= most {
            // Full: the turn goes to the first who is not.
            roomy += degrees[roomy..].iter().take_while(|degree| **degree >= most).count();
            if roomy == degrees.len() {
                break;
            }
            rank = roomy;
        }
        degrees[rank] += 1;
    }
    degrees
}

/// `count` different users other than `me`.
fn others(me: u32, count: usize, ranking: &Ranking, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut met = HashSet::from([me]);
    let mut others = Vec::with_capacity(count);
    let mut tries = 8 * count;
    while others.len() < count && tries > 0 {
        tries -= 1;
        let other = ranking.pick(rng);
        if met.insert(other) {
            others.push(other);
        }
    }
    // Who follows nearly everyone would draw the same few again and again.
    let rest = ranking.users.iter().filter(|other| met.insert(**other));
    let missing = count - others.len();
    others.extend(rest.take(missing));
    others
}

/// Writes the edges in their order, spread over the last year. `users` are keys by number.
pub async fn add(
    bulk: &Bulk<'_>,
    users: &[i64],
    edges: &[(u32, u32)],
    rng: &mut ChaCha8Rng,
    progress: &ProgressBar,
) -> Result<()> {
    let year = Year::last(edges.len() as u64);
    for (chunk, edges) in edges.chunks(CHUNK).enumerate() {
        let moments: Vec<_> =
            (0..edges.len()).map(|row| year.moment(chunk * CHUNK + row, rng)).collect();
        let keys = bulk.keys_at("follow", &moments).await?;
        let follows: Vec<Follow> = zip(keys, edges)
            .map(|(id, (from, to))| Follow {
                id,
                follower: users[*from as usize],
                followed: users[*to as usize],
            })
            .collect();
        bulk.add_follows(&follows).await.context("cannot add the follows")?;
        progress.inc(edges.len() as u64);
    }
    Ok(())
}
