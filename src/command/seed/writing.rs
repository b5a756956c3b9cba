//! What generated users write: one to three sentences at a time, the active ones more often.

use std::iter::zip;

use anyhow::{Context as _, Result};
use fake::Fake as _;
use fake::faker::lorem::en::Sentence;
use indicatif::ProgressBar;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::Year;
use super::graph::Ranking;
use crate::command::bulk::{Bulk, CHUNK, Post};

/// Adds `count` posts, spread over the last year. `users` are keys by number.
pub async fn add(
    bulk: &Bulk<'_>,
    users: &[i64],
    authors: &Ranking,
    count: u64,
    rng: &mut ChaCha8Rng,
    progress: &ProgressBar,
) -> Result<()> {
    let year = Year::last(count);
    let count = usize::try_from(count).context("too many posts")?;
    for start in (0..count).step_by(CHUNK) {
        let rows = start..count.min(start + CHUNK);
        let moments: Vec<_> = rows.map(|row| year.moment(row, rng)).collect();
        let texts: Vec<(u32, String)> =
            moments.iter().map(|_| (authors.pick(rng), text(rng))).collect();
        let keys = bulk.keys_at("post", &moments).await?;
        let posts: Vec<Post<'_>> = zip(keys, &texts)
            .map(|(id, (author, body))| Post { id, author: users[*author as usize], body })
            .collect();
        bulk.add_posts(&posts).await.context("cannot add the posts")?;
        progress.inc(posts.len() as u64);
    }
    Ok(())
}

fn text(rng: &mut ChaCha8Rng) -> String {
    let sentences = rng.random_range(1..=3);
    let sentences: Vec<String> = (0..sentences).map(|_| sentence(rng)).collect();
    sentences.join(" ")
}

/// A sentence of made-up Latin that begins with a capital.
pub fn sentence(rng: &mut ChaCha8Rng) -> String {
    let mut sentence: String = Sentence(4..12).fake_with_rng(rng);
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}
