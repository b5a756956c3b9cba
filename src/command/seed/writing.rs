//! Generated posts of one to three sentences, most of them by active users.

use std::iter::zip;

use anyhow::{Context as _, Result};
use fake::Fake as _;
use fake::faker::lorem::en::Sentence;
use indicatif::ProgressBar;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::TimeRange;
use super::graph::Ranking;
use crate::command::bulk::{Bulk, Post, ROWS_PER_STATEMENT};

/// Adds `count` posts, at random times of the last year. `users` are ids by index.
pub async fn add(
    bulk: &Bulk<'_>,
    users: &[i64],
    authors: &Ranking,
    count: u64,
    rng: &mut ChaCha8Rng,
    progress: &ProgressBar,
) -> Result<()> {
    let year = TimeRange::last_year(count);
    let count = usize::try_from(count).context("too many posts")?;
    for start in (0..count).step_by(ROWS_PER_STATEMENT) {
        let rows = start..count.min(start + ROWS_PER_STATEMENT);
        let times: Vec<_> = rows.map(|row| year.timestamp(row, rng)).collect();
        let texts: Vec<(u32, String)> =
            times.iter().map(|_| (authors.pick(rng), text(rng))).collect();
        let ids = bulk.ids_at("post", &times).await?;
        let posts: Vec<Post<'_>> = zip(ids, &texts)
            .map(|(id, (author, body))| Post {
                id,
                author: users[*author as usize],
                body,
                in_reply_to: None,
            })
            .collect();
        bulk.add_posts(&posts).await.context("cannot add the posts")?;
        progress.inc(posts.len() as u64);
    }
    Ok(())
}

/// One to three sentences.
fn text(rng: &mut ChaCha8Rng) -> String {
    let sentences = rng.random_range(1..=3);
    let sentences: Vec<String> = (0..sentences).map(|_| sentence(rng)).collect();
    sentences.join(" ")
}

/// A sentence of filler text that starts with a capital letter.
pub fn sentence(rng: &mut ChaCha8Rng) -> String {
    let mut sentence: String = Sentence(4..12).fake_with_rng(rng);
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}
