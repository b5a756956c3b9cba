//! `rookery import posts`: imports posts of existing users from a JSON Lines file.
//!
//! A line is an object `{"author": ..., "body": ..., "createdAt": ...}`. Bodies must obey the rules
//! of new posts. A post keeps its time, to the millisecond. A post that exists already, with the
//! same author, body and millisecond, is skipped. So importing the same file again adds nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::ProgressBar;
use sea_orm::FromQueryResult;
use serde::Deserialize;

use super::lines::{Lines, Problems};
use crate::clock;
use crate::command::bulk;
use crate::command::bulk::{Bulk, Post, ROWS_PER_STATEMENT};
use crate::database::Database;
use crate::domain::validation;
use crate::error::UserError;

/// Size of the bodies from which a statement is full, in bytes.
const MAX_STATEMENT_BYTES: usize = 4 * 1024 * 1024;

/// Numbers of posts of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines with a post: those that are not blank.
    pub posts_read: u64,
    pub posts_added: u64,
    /// Posts that an earlier line of the file or the database has.
    pub existing: u64,
}

/// Imports the file at `path` in one transaction.
///
/// # Errors
/// When the file cannot be read; a report of its invalid lines; any error of the database.
pub async fn run(db: &Database, path: &Path, progress: &ProgressBar) -> Result<Summary> {
    let mut lines = Lines::open(path, progress)?;
    progress.set_message("posts");
    let mut import = Import::begin(db).await?;
    let now = clock::now();
    while let Some(line) = lines.read()? {
        match line.text.and_then(|text| parse(text, now)) {
            Ok(Some((author, body, time))) => {
                import.add(PostLine { line: line.number, author, body, time }).await?;
            }
            Ok(None) => {}
            Err(problem) => import.problems.add(line.number, problem),
        }
    }
    progress.set_message("counts");
    import.finish(path).await
}

/// A post and the number of its line.
struct PostLine {
    line: u64,
    /// The author's username in lower case.
    author: String,
    body: String,
    time: DateTime<Utc>,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonPost {
    author: String,
    body: String,
    created_at: String,
}

/// Parses a line; `None` for a blank line. An error is the problem of the line.
fn parse(
    line: &str,
    now: DateTime<Utc>,
) -> Result<Option<(String, String, DateTime<Utc>)>, String> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let post: JsonPost =
        serde_json::from_str(line).map_err(|error| format!("is not a post in JSON: {error}"))?;
    let invalid = |error: UserError| format!("has an invalid body: {}", error.message);
    let body = validation::body(post.body, &["body"]).map_err(invalid)?;
    let time = parse_time(&post.created_at, now)?;
    Ok(Some((post.author.to_ascii_lowercase(), body, time)))
}

fn parse_time(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let not_a_time = || format!("has a createdAt that is not RFC 3339: {text:?}");
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| not_a_time())?;
    // Ids have a resolution of a millisecond.
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
    /// The ids of the authors so far, by username in lower case.
    authors: HashMap<String, i64>,
    /// Posts that are not written yet.
    pending: Vec<PostLine>,
    /// Size of the bodies of `pending`.
    bytes: usize,
    problems: Problems,
    summary: Summary,
}

impl<'a> Import<'a> {
    async fn begin(db: &'a Database) -> Result<Self> {
        Ok(Self {
            bulk: Bulk::begin(db).await?,
            authors: HashMap::new(),
            pending: Vec::with_capacity(ROWS_PER_STATEMENT),
            bytes: 0,
            problems: Problems::default(),
            summary: Summary::default(),
        })
    }

    async fn add(&mut self, post: PostLine) -> Result<()> {
        self.bytes += post.body.len();
        self.pending.push(post);
        if self.pending.len() == ROWS_PER_STATEMENT || self.bytes > MAX_STATEMENT_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes the pending posts, unless there are problems.
    async fn write(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        self.bytes = 0;
        self.resolve_authors(&pending).await?;
        if !self.problems.is_empty() {
            return Ok(());
        }
        let new = self.without_existing(&pending).await?;
        let posts = self.with_ids(&new).await?;
        self.bulk.add_posts(&posts).await.context("cannot add the posts")?;
        let (read, added) = (pending.len() as u64, posts.len() as u64);
        self.summary.posts_read += read;
        self.summary.posts_added += added;
        self.summary.existing += read - added;
        Ok(())
    }

    /// Looks up the authors of `posts`. An author that is not a user is a problem.
    async fn resolve_authors(&mut self, posts: &[PostLine]) -> Result<()> {
        let names = posts.iter().map(|post| post.author.as_str());
        let mut new: Vec<&str> = names.filter(|name| !self.authors.contains_key(*name)).collect();
        new.sort_unstable();
        new.dedup();
        let found = self.bulk.users_named(&new).await.context("cannot look up the authors")?;
        self.authors.extend(found);
        for post in posts {
            if !self.authors.contains_key(&post.author) {
                let problem = format!("has an author who is not a user: {:?}", post.author);
                self.problems.add(post.line, problem);
            }
        }
        Ok(())
    }

    /// The posts that are new, with the ids of their authors.
    ///
    /// A post is new if neither the database nor an earlier entry of the list has it.
    async fn without_existing<'p>(
        &self,
        posts: &'p [PostLine],
    ) -> Result<Vec<(i64, &'p PostLine)>> {
        let mut seen = HashSet::new();
        let mut new: Vec<(i64, &PostLine)> = posts
            .iter()
            .filter_map(|post| Some((*self.authors.get(&post.author)?, post)))
            .filter(|(author, post)| seen.insert((*author, post.time, &post.body)))
            .collect();
        let existing = self.find_existing(&new).await.context("cannot look up the posts")?;
        let mut index = 0;
        new.retain(|_| {
            index += 1;
            !existing.contains(&(index - 1))
        });
        Ok(new)
    }

    /// The indexes of the posts that exist in the database.
    async fn find_existing(&self, posts: &[(i64, &PostLine)]) -> Result<HashSet<i64>> {
        #[derive(FromQueryResult)]
        struct Existing {
            /// Index of the post.
            place: i64,
        }
        let find = format!(
            "SELECT wanted.key AS place FROM {}
            WHERE EXISTS (
                SELECT 1 FROM post WHERE author_id = CAST(wanted.value ->> 0 AS bigint)
                AND id BETWEEN CAST(wanted.value ->> 1 AS bigint)
                    AND CAST(wanted.value ->> 2 AS bigint)
                AND body = wanted.value ->> 3)",
            self.bulk.engine().unnest_json("wanted")
        );
        let wanted = bulk::json(posts.iter().map(|(author, post)| {
            // All ids of the millisecond, of any instance.
            let last_before = bulk::last_id_at(post.time - TimeDelta::milliseconds(1));
            let first = last_before.unwrap_or(-1) + 1;
            (author, first, bulk::last_id_at(post.time), &post.body)
        }))?;
        let existing = self.bulk.rows::<Existing>(&find, [wanted]).await?;
        Ok(existing.into_iter().map(|row| row.place).collect())
    }

    /// The posts with ids. Within a millisecond, ids have the order of the file.
    async fn with_ids<'p>(&self, new: &[(i64, &'p PostLine)]) -> Result<Vec<Post<'p>>> {
        let mut times: Vec<DateTime<Utc>> = new.iter().map(|(_, post)| post.time).collect();
        times.sort_unstable();
        times.dedup();
        let free = self.bulk.free_ids("post", &times).await?;
        let mut free: HashMap<_, _> = times.into_iter().zip(free).collect();
        new.iter()
            .map(|(author, post)| {
                let id = free.get_mut(&post.time).and_then(Iterator::next).with_context(|| {
                    format!("line {}: all ids of its millisecond are in use", post.line)
                })?;
                Ok(Post { id, author: *author, body: &post.body })
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
