//! Finds the lines of a file of posts whose post or repost exists already.
//!
//! A post exists if a post has its author, its millisecond, its body and its parent. A repost
//! exists if its user has reposted the post. What a line refers to can be new itself, and then so
//! is the line. So lines are looked up in levels, each after those to which it refers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use entity::feed_item::IS_REPOST;
use sea_orm::{DbErr, FromQueryResult};
use serde::Serialize;

use super::post_line::{Content, PostLine};
use crate::command::bulk;
use crate::command::bulk::Bulk;

/// A line whose author and reference are resolved.
pub struct ResolvedLine<'p> {
    pub line: &'p PostLine,
    pub author: i64,
    pub reference: Option<Reference>,
}

/// What a line refers to.
#[derive(Clone, Copy, Debug)]
pub enum Reference {
    /// A post of the database.
    Stored(i64),
    /// Index of an earlier line of the list.
    Line(usize),
}

/// The post or the repost of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// It exists with this id.
    Stored(i64),
    /// It is new, and this is the index of the first line that has it.
    New(usize),
}

/// What makes a post or a repost the same as another.
///
/// The author, the target to which it refers, and for a post the time and the body.
type Identity<'p> = (i64, Option<Target>, Option<(DateTime<Utc>, &'p str)>);

impl<'p> ResolvedLine<'p> {
    /// The target to which the line refers.
    pub fn subject(&self, targets: &[Target]) -> Option<Target> {
        self.reference.map(|reference| match reference {
            Reference::Stored(id) => Target::Stored(id),
            Reference::Line(index) => targets[index],
        })
    }

    fn identity(&self, targets: &[Target]) -> Identity<'p> {
        let text = match &self.line.content {
            Content::Post { body, .. } => Some((self.line.time, body.as_str())),
            Content::Repost { .. } => None,
        };
        (self.author, self.subject(targets), text)
    }
}

/// The target of each line.
///
/// # Errors
/// Any error of the database.
pub async fn find_targets(bulk: &Bulk<'_>, lines: &[ResolvedLine<'_>]) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = (0..lines.len()).map(Target::New).collect();
    let mut first_lines: HashMap<Identity<'_>, usize> = HashMap::new();
    for level in levels(lines) {
        let (mut unique, mut duplicates) = (Vec::new(), Vec::new());
        for index in level {
            match first_lines.entry(lines[index].identity(&targets)) {
                Entry::Occupied(first) => duplicates.push((index, *first.get())),
                Entry::Vacant(entry) => {
                    entry.insert(index);
                    unique.push(index);
                }
            }
        }
        let stored = find_stored(bulk, lines, &unique, &targets).await;
        for (index, id) in stored.context("cannot look up the posts")? {
            targets[index] = Target::Stored(id);
        }
        for (index, first) in duplicates {
            targets[index] = targets[first];
        }
    }
    Ok(targets)
}

/// The indexes of the lines by level. A line comes after the one that it refers to.
fn levels(lines: &[ResolvedLine<'_>]) -> Vec<Vec<usize>> {
    let mut level_of: Vec<usize> = Vec::with_capacity(lines.len());
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let level = match line.reference {
            Some(Reference::Line(earlier)) => level_of[earlier] + 1,
            Some(Reference::Stored(_)) | None => 0,
        };
        level_of.push(level);
        if level == levels.len() {
            levels.push(Vec::new());
        }
        levels[level].push(index);
    }
    levels
}

/// The indexes of the lines whose post or repost exists, with its id.
async fn find_stored(
    bulk: &Bulk<'_>,
    lines: &[ResolvedLine<'_>],
    indexes: &[usize],
    targets: &[Target],
) -> Result<Vec<(usize, i64)>, DbErr> {
    let (mut posts, mut reposts) = (Vec::new(), Vec::new());
    for index in indexes {
        let ResolvedLine { line, author, .. } = &lines[*index];
        let subject = match lines[*index].subject(targets) {
            // What refers to a new post is new.
            Some(Target::New(_)) => continue,
            Some(Target::Stored(id)) => Some(id),
            None => None,
        };
        match &line.content {
            Content::Post { body, .. } => {
                // All ids of the millisecond, of any instance.
                let last_before = bulk::last_id_at(line.time - TimeDelta::milliseconds(1));
                let first = last_before.unwrap_or(-1) + 1;
                let last = bulk::last_id_at(line.time);
                posts.push((index, (author, first, last, body, subject)));
            }
            Content::Repost { .. } => reposts.push((index, (author, subject))),
        }
    }
    let find_post = "SELECT min(id) FROM post WHERE author_id = CAST(wanted.value ->> 0 AS bigint)
        AND id BETWEEN CAST(wanted.value ->> 1 AS bigint) AND CAST(wanted.value ->> 2 AS bigint)
        AND body = wanted.value ->> 3
        AND coalesce(in_reply_to_id, 0) = coalesce(CAST(wanted.value ->> 4 AS bigint), 0)";
    let find_repost = format!(
        "SELECT min(id) FROM feed_item WHERE {IS_REPOST}
        AND post_id = CAST(wanted.value ->> 1 AS bigint)
        AND actor_id = CAST(wanted.value ->> 0 AS bigint)"
    );
    let mut stored = find(bulk, find_post, posts).await?;
    stored.extend(find(bulk, &find_repost, reposts).await?);
    Ok(stored)
}

/// The id that `subquery` selects for each wanted row, if there is one.
async fn find<T: Serialize>(
    bulk: &Bulk<'_>,
    subquery: &str,
    wanted: Vec<(&usize, T)>,
) -> Result<Vec<(usize, i64)>, DbErr> {
    #[derive(FromQueryResult)]
    struct Stored {
        /// Index of the wanted row.
        place: i64,
        id: i64,
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let find = format!(
        "SELECT place, id FROM (SELECT wanted.key AS place, ({subquery}) AS id FROM {}) AS stored
        WHERE id IS NOT NULL",
        bulk.engine().unnest_json("wanted")
    );
    let (indexes, wanted): (Vec<usize>, Vec<T>) =
        wanted.into_iter().map(|(index, row)| (*index, row)).unzip();
    let stored = bulk.rows::<Stored>(&find, [bulk::json(wanted)?]).await?;
    let index = |row: Stored| Some((*indexes.get(usize::try_from(row.place).ok()?)?, row.id));
    Ok(stored.into_iter().filter_map(index).collect())
}
