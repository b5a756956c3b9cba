//! Generated posts of one to three sentences, most of them by active users.

use std::iter::zip;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use fake::Fake as _;
use fake::faker::lorem::en::Sentence;
use indicatif::ProgressBar;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::TimeRange;
use super::graph::Ranking;
use crate::command::bulk::{Bulk, Post, ROWS_PER_STATEMENT};

/// The posts that were added, oldest first.
#[derive(Debug)]
pub struct Posts {
    pub ids: Vec<i64>,
    /// The index of the author of each post.
    pub authors: Vec<u32>,
    /// The indexes of the posts of each user.
    pub by_author: Vec<Vec<u32>>,
    /// The ids of the posts that have replies, once for each reply.
    pub parents: Vec<i64>,
    /// The end of the year of the posts.
    pub end: DateTime<Utc>,
}

/// Adds `count` posts, at random times of the last year. `users` are ids by index.
///
/// `choose_parent` is called for each post, with the posts before it and its author. It returns the
/// index of the post to which the post replies.
pub async fn add(
    bulk: &Bulk<'_>,
    users: &[i64],
    (authors, count): (&Ranking, u64),
    mut choose_parent: impl FnMut(&Posts, u32) -> Option<usize>,
    rng: &mut ChaCha8Rng,
    progress: &ProgressBar,
) -> Result<Posts> {
    let year = TimeRange::last_year(count);
    let count = usize::try_from(count).context("too many posts")?;
    let mut posts = Posts::new(users.len(), year.end());
    for start in (0..count).step_by(ROWS_PER_STATEMENT) {
        let rows = start..count.min(start + ROWS_PER_STATEMENT);
        let times: Vec<_> = rows.map(|row| year.timestamp(row, rng)).collect();
        let texts: Vec<(u32, String)> =
            times.iter().map(|_| (authors.pick(rng), text(rng))).collect();
        let mut new = Vec::with_capacity(texts.len());
        for (id, (author, body)) in zip(bulk.ids_at("post", &times).await?, &texts) {
            let parent = choose_parent(&posts, *author).map(|parent| posts.ids[parent]);
            new.push(Post { id, author: users[*author as usize], body, in_reply_to: parent });
            posts.push(id, *author, parent)?;
        }
        bulk.add_posts(&new).await.context("cannot add the posts")?;
        progress.inc(new.len() as u64);
    }
    Ok(posts)
}

impl Posts {
    fn new(users: usize, end: DateTime<Utc>) -> Self {
        let by_author = vec![Vec::new(); users];
        Self { ids: Vec::new(), authors: Vec::new(), by_author, parents: Vec::new(), end }
    }

    fn push(&mut self, id: i64, author: u32, parent: Option<i64>) -> Result<()> {
        let index = u32::try_from(self.ids.len()).context("too many posts")?;
        self.ids.push(id);
        self.authors.push(author);
        self.by_author[author as usize].push(index);
        self.parents.extend(parent);
        Ok(())
    }
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
