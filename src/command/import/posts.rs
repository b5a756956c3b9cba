//! `rookery import posts`: imports posts of existing users from a JSON Lines file.
//!
//! A line is an object `{"author": ..., "body": ..., "createdAt": ...}`. Bodies must obey the rules
//! of new posts. A post keeps its time, to the millisecond. A line with an `id` can be referred to
//! by later lines: a post that has it as `inReplyTo` is a reply, and a line that has it as
//! `repostOf`, in place of a body, is a repost. The ids of the file are not stored. A post or a
//! repost that exists already is skipped, as `existing_posts` defines it. So importing the same
//! file again adds nothing.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use indicatif::ProgressBar;

use super::existing_posts::{Reference, ResolvedLine, Target, find_targets};
use super::lines::{Lines, Problems};
use super::post_line::{Content, PostLine};
use crate::clock;
use crate::command::bulk::{Author, Bulk, Post, ROWS_PER_STATEMENT, Reaction};
use crate::database::Database;

/// Size of the bodies from which a statement is full, in bytes.
const MAX_STATEMENT_BYTES: usize = 4 * 1024 * 1024;

/// Numbers of posts of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines with a post or a repost: those that are not blank.
    pub posts_read: u64,
    pub posts_added: u64,
    pub reposts_added: u64,
    /// Posts and reposts that an earlier line of the file or the database has.
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
        let number = line.number;
        let parsed = line.text.and_then(|text| PostLine::parse(number, text, now));
        match parsed.and_then(|post| post.map(|post| import.check(post)).transpose()) {
            Ok(Some(post)) => import.add(post).await?,
            Ok(None) => {}
            Err(problem) => import.problems.add(number, problem),
        }
    }
    progress.set_message("counts");
    import.finish(path).await
}

/// A line that has an id.
struct NamedLine {
    line: u64,
    /// The author's username in lower case.
    author: String,
    time: DateTime<Utc>,
    is_repost: bool,
    /// The id of the post; `None` until the line is written.
    post: Option<i64>,
}

struct Import<'a> {
    bulk: Bulk<'a>,
    /// The authors so far, by username in lower case.
    authors: HashMap<String, Author>,
    /// The lines so far that have an id, by it.
    named: HashMap<String, NamedLine>,
    /// Lines that are not written yet.
    pending: Vec<PostLine>,
    /// Size of the bodies of `pending`.
    bytes: usize,
    /// The posts with new replies or reposts.
    counted: HashSet<i64>,
    problems: Problems,
    summary: Summary,
}

impl<'a> Import<'a> {
    async fn begin(db: &'a Database) -> Result<Self> {
        Ok(Self {
            bulk: Bulk::begin(db).await?,
            authors: HashMap::new(),
            named: HashMap::new(),
            pending: Vec::with_capacity(ROWS_PER_STATEMENT),
            bytes: 0,
            counted: HashSet::new(),
            problems: Problems::default(),
            summary: Summary::default(),
        })
    }

    /// Checks the reference of a line, and registers its id.
    fn check(&mut self, post: PostLine) -> Result<PostLine, String> {
        if let Some(reference) = post.reference() {
            let (field, verb) = if post.is_repost() {
                ("a repostOf", "reposts")
            } else {
                ("an inReplyTo", "replies to")
            };
            let Some(earlier) = self.named.get(reference) else {
                return Err(format!("has {field} that no earlier line has as id: {reference:?}"));
            };
            if earlier.is_repost {
                return Err(format!("has {field} that is a repost: {reference:?}"));
            }
            if post.time < earlier.time {
                return Err(format!("is older than the post that it {verb}: {reference:?}"));
            }
        }
        if let Some(id) = &post.id {
            match self.named.entry(id.clone()) {
                Entry::Occupied(first) => {
                    return Err(format!("has the id of line {}: {id:?}", first.get().line));
                }
                Entry::Vacant(entry) => entry.insert(NamedLine {
                    line: post.line,
                    author: post.author.clone(),
                    time: post.time,
                    is_repost: post.is_repost(),
                    post: None,
                }),
            };
        }
        Ok(post)
    }

    async fn add(&mut self, post: PostLine) -> Result<()> {
        self.bytes += post.bytes();
        self.pending.push(post);
        if self.pending.len() == ROWS_PER_STATEMENT || self.bytes > MAX_STATEMENT_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes the pending lines, unless there are problems.
    async fn write(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        self.bytes = 0;
        self.resolve_authors(&pending).await?;
        self.check_reposts(&pending);
        if !self.problems.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> =
            pending.iter().filter_map(|post| self.resolve(post, &pending)).collect();
        let targets = find_targets(&self.bulk, &lines).await?;
        let ids = self.assign_ids(&lines, &targets).await?;
        let (posts, reposts) = new_rows(&lines, &targets, &ids);
        self.bulk.add_posts(&posts).await.context("cannot add the posts")?;
        self.bulk.add_reposts(&reposts).await.context("cannot add the reposts")?;
        self.counted.extend(posts.iter().filter_map(|post| post.in_reply_to));
        self.counted.extend(reposts.iter().map(|repost| repost.post));
        let (read, posts, reposts) =
            (pending.len() as u64, posts.len() as u64, reposts.len() as u64);
        self.summary.posts_read += read;
        self.summary.posts_added += posts;
        self.summary.reposts_added += reposts;
        self.summary.existing += read - posts - reposts;
        for (post, id) in pending.iter().zip(ids) {
            if let Some(name) = &post.id
                && let Some(named) = self.named.get_mut(name)
            {
                named.post = Some(id);
            }
        }
        Ok(())
    }

    /// Looks up the authors of `posts`. An author that is not a user is a problem.
    async fn resolve_authors(&mut self, posts: &[PostLine]) -> Result<()> {
        let names = posts.iter().map(|post| post.author.as_str());
        let mut new: Vec<&str> = names.filter(|name| !self.authors.contains_key(*name)).collect();
        new.sort_unstable();
        new.dedup();
        let found = self.bulk.authors_named(&new).await.context("cannot look up the authors")?;
        self.authors.extend(found);
        for post in posts {
            if !self.authors.contains_key(&post.author) {
                let problem = format!("has an author who is not a user: {:?}", post.author);
                self.problems.add(post.line, problem);
            }
        }
        Ok(())
    }

    /// Only the author can repost a post of a protected user.
    fn check_reposts(&mut self, posts: &[PostLine]) {
        for post in posts {
            let Content::Repost { post: reposted } = &post.content else { continue };
            let Some(named) = self.named.get(reposted) else { continue };
            let author = self.authors.get(&named.author);
            if named.author != post.author && author.is_some_and(|author| author.is_protected) {
                let problem = format!("reposts a post of a protected user: {reposted:?}");
                self.problems.add(post.line, problem);
            }
        }
    }

    /// A line with the ids of its author and of the post to which it refers.
    fn resolve<'p>(&self, post: &'p PostLine, pending: &[PostLine]) -> Option<ResolvedLine<'p>> {
        let author = self.authors.get(&post.author)?.id;
        let reference = post.reference().and_then(|reference| self.named.get(reference));
        let reference = reference.and_then(|named| {
            // Lines are in the order of their numbers.
            let pending = || pending.binary_search_by_key(&named.line, |post| post.line);
            let stored = named.post.map(Reference::Stored);
            stored.or_else(|| pending().ok().map(Reference::Line))
        });
        Some(ResolvedLine { line: post, author, reference })
    }

    /// The id of each line. Within a millisecond, new ids have the order of the file.
    async fn assign_ids(&self, lines: &[ResolvedLine<'_>], targets: &[Target]) -> Result<Vec<i64>> {
        let is_new = |index: &usize| targets[*index] == Target::New(*index);
        let new: Vec<usize> = (0..lines.len()).filter(is_new).collect();
        let times: Vec<_> = new.iter().map(|index| lines[*index].line.time).collect();
        let free = self.bulk.free_ids_in_order("post", &times).await?;
        let mut new_ids = HashMap::new();
        for (index, id) in new.into_iter().zip(free) {
            let line = lines[index].line.line;
            let message = || format!("line {line}: all ids of its millisecond are in use");
            new_ids.insert(index, id.with_context(message)?);
        }
        let id = |target: &Target| match target {
            Target::Stored(id) => Some(*id),
            Target::New(first) => new_ids.get(first).copied(),
        };
        targets.iter().map(id).collect::<Option<_>>().context("a line has no id")
    }

    async fn finish(mut self, path: &Path) -> Result<Summary> {
        self.write().await?;
        self.problems.check(path)?;
        let authors: Vec<i64> = self.authors.into_values().map(|author| author.id).collect();
        self.bulk.recount(&authors).await.context("cannot set the users' counts")?;
        let posts: Vec<i64> = self.counted.into_iter().collect();
        self.bulk.recount_posts(&posts).await.context("cannot set the posts' counts")?;
        self.bulk.commit().await?;
        Ok(self.summary)
    }
}

/// The posts and the reposts that are new. `ids` are those of the lines.
fn new_rows<'p>(
    lines: &[ResolvedLine<'p>],
    targets: &[Target],
    ids: &[i64],
) -> (Vec<Post<'p>>, Vec<Reaction>) {
    let (mut posts, mut reposts) = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        if targets[index] != Target::New(index) {
            continue;
        }
        let (id, author) = (ids[index], line.author);
        let subject = line.reference.map(|reference| match reference {
            Reference::Stored(id) => id,
            Reference::Line(earlier) => ids[earlier],
        });
        match (&line.line.content, subject) {
            (Content::Post { body, .. }, in_reply_to) => {
                posts.push(Post { id, author, body, in_reply_to });
            }
            (Content::Repost { .. }, Some(post)) => {
                reposts.push(Reaction { id, actor: author, post });
            }
            (Content::Repost { .. }, None) => {}
        }
    }
    (posts, reposts)
}
