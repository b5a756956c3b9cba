//! `import posts`: one post a line, as JSON: `{"author": ..., "body": ..., "createdAt": ...}`.
//! Authors must be there already, bodies obey the rules of new posts, and a post keeps its moment.
//!
//! A post that is there already (same author, same words, same millisecond) is skipped, so the same
//! file again adds nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::ProgressBar;
use sea_orm::FromQueryResult;
use serde::Deserialize;

use super::lines::{Lines, Problems};
use crate::command::bulk::{self, Bulk, CHUNK, Post};
use crate::database::Database;
use crate::error::UserError;
use crate::graph::text;

/// Bytes of text that go into one statement.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// What an import of posts found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines that were not blank.
    pub posts: u64,
    pub posts_added: u64,
    /// Posts that an earlier line or the database had already.
    pub already_there: u64,
}

/// Imports the file at `path`, or nothing of it.
///
/// # Errors
/// When the file cannot be read, when a line is bad (the first ones are named by number), or when
/// the database refuses.
pub async fn run(db: &Database, path: &Path, progress: &ProgressBar) -> Result<Summary> {
    let mut lines = Lines::open(path, progress)?;
    progress.set_message("posts");
    let mut import = Import::begin(db).await?;
    let now = Utc::now();
    while let Some(line) = lines.read()? {
        match line.text.and_then(|text| parse(text, now)) {
            Ok(Some((author, body, time))) => {
                import.take(Entry { line: line.number, author, body, time }).await?;
            }
            Ok(None) => {}
            Err(what) => import.problems.add(line.number, what),
        }
    }
    progress.set_message("counting");
    import.finish(path).await
}

struct Entry {
    line: u64,
    author: String,
    body: String,
    time: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    author: String,
    body: String,
    created_at: String,
}

fn parse(
    line: &str,
    now: DateTime<Utc>,
) -> Result<Option<(String, String, DateTime<Utc>)>, String> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let written: Written =
        serde_json::from_str(line).map_err(|error| format!("is not a post in JSON: {error}"))?;
    let wrong = |error: UserError| format!("has a bad body: {}", error.message);
    let body = text::body(written.body, &["body"]).map_err(wrong)?;
    let time = check_time(&written.created_at, now)?;
    Ok(Some((written.author.to_ascii_lowercase(), body, time)))
}

fn check_time(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let not_a_time = || format!("has a createdAt that is not RFC 3339: {text:?}");
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| not_a_time())?;
    // Kept to the millisecond, as keys are.
    let time = DateTime::from_timestamp_millis(time.timestamp_millis()).ok_or_else(not_a_time)?;
    if time < DateTime::UNIX_EPOCH {
        Err(format!("has a createdAt before 1970: {text}"))
    } else if time > now {
        Err(format!("has a createdAt in the future: {text}"))
    } else {
        Ok(time)
    }
}

struct Import<'a> {
    bulk: Bulk<'a>,
    authors: HashMap<String, i64>,
    entries: Vec<Entry>,
    bytes: usize,
    problems: Problems,
    summary: Summary,
}

impl<'a> Import<'a> {
    async fn begin(db: &'a Database) -> Result<Self> {
        Ok(Self {
            bulk: Bulk::begin(db).await?,
            authors: HashMap::new(),
            entries: Vec::with_capacity(CHUNK),
            bytes: 0,
            problems: Problems::default(),
            summary: Summary::default(),
        })
    }

    async fn take(&mut self, entry: Entry) -> Result<()> {
        self.bytes += entry.body.len();
        self.entries.push(entry);
        if self.entries.len() == CHUNK || self.bytes > CHUNK_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        self.bytes = 0;
        self.meet_authors(&entries).await?;
        if !self.problems.is_empty() {
            return Ok(());
        }
        let new = self.without_known(&entries).await?;
        let posts = self.with_keys(&new).await?;
        self.bulk.add_posts(&posts).await.context("cannot add the posts")?;
        let (all, added) = (entries.len() as u64, posts.len() as u64);
        self.summary.posts += all;
        self.summary.posts_added += added;
        self.summary.already_there += all - added;
        Ok(())
    }

    async fn meet_authors(&mut self, entries: &[Entry]) -> Result<()> {
        let names = entries.iter().map(|entry| entry.author.as_str());
        let mut new: Vec<&str> = names.filter(|name| !self.authors.contains_key(*name)).collect();
        new.sort_unstable();
        new.dedup();
        let found = self.bulk.users_named(&new).await.context("cannot look up the authors")?;
        self.authors.extend(found);
        for entry in entries {
            if !self.authors.contains_key(&entry.author) {
                let what = format!("has an author who is not a user: {:?}", entry.author);
                self.problems.add(entry.line, what);
            }
        }
        Ok(())
    }

    /// The posts that neither the database nor an earlier entry has, with their authors.
    async fn without_known<'e>(&self, entries: &'e [Entry]) -> Result<Vec<(i64, &'e Entry)>> {
        let mut seen = HashSet::new();
        let mut new: Vec<(i64, &Entry)> = entries
            .iter()
            .filter_map(|entry| Some((*self.authors.get(&entry.author)?, entry)))
            .filter(|(author, entry)| seen.insert((*author, entry.time, &entry.body)))
            .collect();
        let known = self.known(&new).await.context("cannot look up the posts")?;
        let mut place = 0;
        new.retain(|_| {
            place += 1;
            !known.contains(&(place - 1))
        });
        Ok(new)
    }

    /// The places in `posts` of those that the database has.
    async fn known(&self, posts: &[(i64, &Entry)]) -> Result<HashSet<i64>> {
        #[derive(FromQueryResult)]
        struct Place {
            place: i64,
        }
        let find = format!(
            "SELECT wanted.key AS place FROM {}
            WHERE EXISTS (
                SELECT 1 FROM post WHERE author_id = CAST(wanted.value ->> 0 AS bigint)
                AND id BETWEEN CAST(wanted.value ->> 1 AS bigint)
                    AND CAST(wanted.value ->> 2 AS bigint)
                AND body = wanted.value ->> 3)",
            self.bulk.engine().each_element("wanted")
        );
        let wanted = bulk::json(posts.iter().map(|(author, entry)| {
            // All keys of this millisecond, whichever node made them.
            let above = bulk::last_key(entry.time - TimeDelta::milliseconds(1)).unwrap_or(-1);
            (author, above + 1, bulk::last_key(entry.time), &entry.body)
        }))?;
        let places = self.bulk.rows::<Place>(&find, [wanted]).await?;
        Ok(places.into_iter().map(|row| row.place).collect())
    }

    /// Posts of the same millisecond get keys in the order of the file.
    async fn with_keys<'e>(&self, new: &[(i64, &'e Entry)]) -> Result<Vec<Post<'e>>> {
        let mut times: Vec<DateTime<Utc>> = new.iter().map(|(_, entry)| entry.time).collect();
        times.sort_unstable();
        times.dedup();
        let free = self.bulk.free_keys("post", &times).await?;
        let mut free: HashMap<_, _> = times.into_iter().zip(free).collect();
        new.iter()
            .map(|(author, entry)| {
                let id = free.get_mut(&entry.time).and_then(Iterator::next).with_context(|| {
                    format!("line {} is one post too many for its millisecond", entry.line)
                })?;
                Ok(Post { id, author: *author, body: &entry.body })
            })
            .collect()
    }

    async fn finish(mut self, path: &Path) -> Result<Summary> {
        self.write().await?;
        self.problems.check(path)?;
        let authors: Vec<i64> = self.authors.into_values().collect();
        self.bulk.recount(&authors).await.context("cannot set the users' counts")?;
        self.bulk.commit().await?;
        Ok(self.summary)
    }
}
