//! `rookery import follows`: imports follows from an edge list.
//!
//! This is the format in which collections of public graphs, such as SNAP, publish social networks.
//! A line `a b` of two numbers means that user `ua` follows user `ub`. A line that starts with `#`
//! is a comment. Users that do not exist are created, without a password and with an e-mail address
//! in the reserved domain `.invalid` (RFC 2606). Existing users are not changed. Importing the same
//! file again adds nothing.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use sea_orm::{DbErr, SqlErr};

use super::lines::{Lines, Problems};
use crate::command::bulk::{Bulk, Follow, ROWS_PER_STATEMENT, User};
use crate::command::indexes::{DroppedIndexes, IndexSet};
use crate::command::{bulk, indexes};
use crate::database::Database;
use crate::ids::{COMMAND_INSTANCE, IdGenerator, InstanceId};

/// Numbers of follows and users of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines with a follow: neither blank nor a comment.
    pub follows_read: u64,
    pub users_added: u64,
    pub follows_added: u64,
    /// Follows that an earlier line of the file has.
    pub duplicates: u64,
    /// Follows that existed before the import.
    pub existing: u64,
}

/// Imports the file at `path` in one transaction.
///
/// # Errors
/// When the file cannot be read; a report of its invalid lines; any error of the database.
pub async fn run(db: &Database, path: &Path, progress: &ProgressBar) -> Result<Summary> {
    let mut lines = Lines::open(path, progress)?;
    progress.set_message("follows");
    let mut import = Import::begin(db).await?;
    let mut problems = Problems::default();
    while let Some(line) = lines.read()? {
        match line.text.and_then(parse) {
            Ok(Some(follow)) if problems.is_empty() => import.add(follow).await?,
            Ok(_) => {}
            Err(problem) => problems.add(line.number, problem),
        }
    }
    problems.check(path)?;
    progress.set_message("counts");
    import.finish().await
}

/// The number of a user in the file.
type UserNumber = u64;

/// The follower and the followed user of a line.
type NumberedFollow = (UserNumber, UserNumber);

/// Parses a line; `None` for a blank line or a comment.
///
/// An error is the problem of the line.
fn parse(line: &str) -> Result<Option<NumberedFollow>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(follower), Some(followed), None) = (words.next(), words.next(), words.next()) else {
        return Err("does not have exactly two numbers".to_owned());
    };
    let (follower, followed) = (parse_user_number(follower)?, parse_user_number(followed)?);
    if follower == followed {
        return Err(format!("says that user {follower} follows itself"));
    }
    Ok(Some((follower, followed)))
}

fn parse_user_number(word: &str) -> Result<UserNumber, String> {
    const MAX_SHOWN_CHARACTERS: usize = 40;
    let shown = || word.chars().take(MAX_SHOWN_CHARACTERS).collect::<String>();
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("has {:?} where a number belongs", shown()));
    }
    word.parse().map_err(|_| format!("has a number larger than {}: {}", UserNumber::MAX, shown()))
}

struct Import<'a> {
    bulk: Bulk<'a>,
    indexes: DroppedIndexes,
    ids: IdGenerator,
    /// The largest id before the import.
    max_id_before: i64,
    /// The ids of the users of the file so far.
    users: HashMap<UserNumber, i64>,
    /// Follows that are not written yet.
    pending: Vec<NumberedFollow>,
    summary: Summary,
}

impl<'a> Import<'a> {
    async fn begin(db: &'a Database) -> Result<Self> {
        let bulk = Bulk::begin(db).await?;
        let max_id_before = bulk.max_id().await?;
        let indexes = indexes::drop_indexes(&bulk, "follow", IndexSet::NotUnique, 0).await?;
        Ok(Self {
            bulk,
            indexes,
            ids: IdGenerator::new(InstanceId::fixed(COMMAND_INSTANCE), max_id_before),
            max_id_before,
            users: HashMap::new(),
            pending: Vec::with_capacity(ROWS_PER_STATEMENT),
            summary: Summary::default(),
        })
    }

    async fn add(&mut self, follow: NumberedFollow) -> Result<()> {
        self.pending.push(follow);
        if self.pending.len() == ROWS_PER_STATEMENT {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes the pending follows and the users that they need.
    async fn write(&mut self) -> Result<()> {
        self.resolve_users().await?;
        let follows: Vec<Follow> = self
            .pending
            .iter()
            .filter_map(|(follower, followed)| {
                let follower = *self.users.get(follower)?;
                let followed = *self.users.get(followed)?;
                Some(Follow { id: self.ids.next(), follower, followed })
            })
            .collect();
        let added = self.bulk.add_new_follows(&follows).await.context("cannot add the follows")?;
        let read = follows.len() as u64;
        let existing = if added == read { 0 } else { self.count_existing(&follows).await? };
        self.summary.follows_read += read;
        self.summary.follows_added += added;
        self.summary.existing += existing;
        self.summary.duplicates += read - added - existing;
        self.pending.clear();
        Ok(())
    }

    /// Looks up or creates the users of the pending follows.
    async fn resolve_users(&mut self) -> Result<()> {
        let numbers = self.pending.iter().flat_map(|(follower, followed)| [*follower, *followed]);
        let mut new: Vec<UserNumber> =
            numbers.filter(|number| !self.users.contains_key(number)).collect();
        new.sort_unstable();
        new.dedup();
        let names: Vec<String> = new.iter().map(|number| format!("u{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = self.bulk.users_named(&names).await.context("cannot look up the users")?;
        let mut users = Vec::new();
        for (number, name) in new.into_iter().zip(names) {
            let id = found.get(name).copied().unwrap_or_else(|| {
                let id = self.ids.next();
                users.push(placeholder_user(id, name));
                id
            });
            self.users.insert(number, id);
        }
        self.bulk.add_users(&users).await.map_err(add_users_failed)?;
        self.summary.users_added += users.len() as u64;
        Ok(())
    }

    /// Number of these follows that existed before the import.
    async fn count_existing(&self, follows: &[Follow]) -> Result<u64> {
        let count = format!(
            "SELECT count(*) AS number FROM {}
            JOIN follow ON follower_id = CAST(edge.value ->> 0 AS bigint)
                AND followed_id = CAST(edge.value ->> 1 AS bigint)
            WHERE follow.id <= $2",
            self.bulk.engine().unnest_json("edge")
        );
        let pairs = bulk::json(follows.iter().map(|follow| (follow.follower, follow.followed)))?;
        let existing = self.bulk.number(&count, [pairs, self.max_id_before.into()]).await?;
        Ok(existing.unsigned_abs())
    }

    async fn finish(mut self) -> Result<Summary> {
        self.write().await?;
        self.indexes
            .recreate(&self.bulk)
            .await
            .context("cannot create the indexes of the follows")?;
        let users: Vec<i64> = self.users.into_values().collect();
        self.bulk.recount(&users).await.context("cannot set the users' counts")?;
        self.bulk.commit().await?;
        Ok(self.summary)
    }
}

/// A user without a password, whose e-mail address receives no mail.
fn placeholder_user(id: i64, name: &str) -> User {
    let email = format!("{name}@import.invalid");
    User { id, username: name.to_owned(), email, ..User::default() }
}

fn add_users_failed(error: DbErr) -> anyhow::Error {
    let is_taken = matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)));
    anyhow::Error::from(error).context(if is_taken {
        "nothing was imported: an e-mail address u...@import.invalid belongs to another user"
    } else {
        "cannot add the users"
    })
}
