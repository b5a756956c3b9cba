//! The protected users of a generated graph, and its blocks, requests and mutes.
//!
//! The actors are mostly active users, and the targets mostly popular ones, as in follows.

use std::collections::HashSet;
use std::iter::repeat_with;

use anyhow::{Context as _, Result};
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;

use super::Summary;
use super::graph::{POPULARITY, Ranking, UserPair};
use crate::command::bulk::{Bulk, PairTable};

/// Number of random pairs to try for each pair that is chosen.
const TRIES_PER_PAIR: usize = 8;

/// Protects `count` random users, who have no posts yet, and returns their indexes.
///
/// `users` are ids by index.
pub async fn protect(
    bulk: &Bulk<'_>,
    users: &[i64],
    count: u64,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<u32>> {
    let mut indexes: Vec<u32> = (0..u32::try_from(users.len())?).collect();
    let (protected, _) = indexes.partial_shuffle(rng, usize::try_from(count)?);
    let ids: Vec<i64> = protected.iter().map(|index| users[*index as usize]).collect();
    bulk.protect_users(&ids).await.context("cannot protect the users")?;
    Ok(protected.to_vec())
}

/// The users and the follows on which all other relationships depend.
pub struct Network<'a> {
    active: &'a Ranking,
    popular: &'a Ranking,
    /// The protected users; `None` if there are none.
    protected: Option<Ranking>,
    /// All follows, sorted.
    follows: Vec<UserPair>,
}

/// The relationships of a graph other than follows, in the order of their times.
pub struct Relationships {
    pub blocks: Vec<UserPair>,
    pub requests: Vec<UserPair>,
    pub mutes: Vec<UserPair>,
}

impl<'a> Network<'a> {
    pub fn new(
        active: &'a Ranking,
        popular: &'a Ranking,
        protected: Vec<u32>,
        mut follows: Vec<UserPair>,
    ) -> Result<Self> {
        let protected =
            if protected.is_empty() { None } else { Some(Ranking::new(protected, POPULARITY)?) };
        follows.sort_unstable();
        Ok(Self { active, popular, protected, follows })
    }

    /// All follows, sorted.
    pub fn follows(&self) -> &[UserPair] {
        &self.follows
    }

    /// Chooses the planned numbers of relationships, or as many as are found.
    ///
    /// Users of whom one blocks the other have neither a follow nor a request. The target of a
    /// request is protected, and the requester does not follow it.
    pub fn choose(&self, planned: &Summary, rng: &mut ChaCha8Rng) -> Relationships {
        let blocks = self.pick_pairs(self.popular, planned.blocks, rng, |(blocker, blocked)| {
            !self.has_follow((blocker, blocked)) && !self.has_follow((blocked, blocker))
        });
        let without_contact: HashSet<UserPair> =
            blocks.iter().flat_map(|&(one, other)| [(one, other), (other, one)]).collect();
        let requests = self.protected.as_ref().map(|protected| {
            self.pick_pairs(protected, planned.requests, rng, |pair| {
                !self.has_follow(pair) && !without_contact.contains(&pair)
            })
        });
        let mutes = self.pick_pairs(self.popular, planned.mutes, rng, |_| true);
        Relationships { blocks, requests: requests.unwrap_or_default(), mutes }
    }

    fn has_follow(&self, pair: UserPair) -> bool {
        self.follows.binary_search(&pair).is_ok()
    }

    /// At most `count` different pairs of an active user and another user of `targets`.
    fn pick_pairs(
        &self,
        targets: &Ranking,
        count: u64,
        rng: &mut ChaCha8Rng,
        is_allowed: impl Fn(UserPair) -> bool,
    ) -> Vec<UserPair> {
        let count = usize::try_from(count).unwrap_or_default();
        let mut picked = HashSet::new();
        repeat_with(|| (self.active.pick(rng), targets.pick(rng)))
            .take(TRIES_PER_PAIR * count)
            .filter(|pair| pair.0 != pair.1 && is_allowed(*pair) && picked.insert(*pair))
            .take(count)
            .collect()
    }
}

impl Relationships {
    /// The tables with the pairs to add.
    pub fn tables(&self) -> [(PairTable, &[UserPair]); 3] {
        [
            (PairTable::Block, self.blocks.as_slice()),
            (PairTable::FollowRequest, self.requests.as_slice()),
            (PairTable::Mute, self.mutes.as_slice()),
        ]
    }
}
