//! `rookery import follows`: imports follows from an edge list.
//!
//! A line `a b` of two numbers means that user `ua` follows user `ub`; `edge_list` has the format.
//! Imported users have no password, and an e-mail address such as `ua@import.invalid`, by which
//! they are recognised. No other user can have such an address, because registration rejects the
//! top-level domain `invalid` (RFC 2606). If a user who was not imported has the username, the
//! imported user is `ua_import`. Importing the same file again adds nothing, unless an imported
//! user got a token of the operator and changed the address.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;

use super::edge_list::{self, EdgeListOptions, NumberedFollow, UserNumber};
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
    /// Follows that an earlier line of the file has, or that a block prevents.
    pub duplicates: u64,
    /// Follows that existed before the import.
    pub existing: u64,
}

/// The result of an import.
#[derive(Debug)]
pub struct Outcome {
    pub summary: Summary,
    /// Invalid lines that were skipped.
    pub skipped: Problems,
}

/// Imports the file at `path` in one transaction.
///
/// # Errors
/// When the file cannot be read; a report of its invalid lines, unless they are skipped; any error
/// of the database.
pub async fn run(
    db: &Database,
    path: &Path,
    options: &EdgeListOptions,
    progress: &ProgressBar,
) -> Result<Outcome> {
    let mut lines = Lines::open(path, progress)?;
    progress.set_message("follows");
    let mut import = Import::begin(db).await?;
    let mut problems = Problems::default();
    while let Some(line) = lines.read()? {
        match line.text.and_then(|text| edge_list::parse(text, options)) {
            Ok(Some(follow)) if options.skip_invalid || problems.is_empty() => {
                import.add(follow).await?;
            }
            Ok(_) => {}
            Err(problem) => problems.add(line.number, problem),
        }
    }
    let skipped =
        if options.skip_invalid { std::mem::take(&mut problems) } else { Problems::default() };
    problems.check(path)?;
    progress.set_message("counts");
    Ok(Outcome { summary: import.finish().await?, skipped })
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
        let emails: Vec<String> = new.iter().map(|number| email(*number)).collect();
        let imported = self.bulk.users_with_emails(&emails).await;
        let imported = imported.context("cannot look up the users")?;
        let names: Vec<String> = new.iter().map(|number| format!("u{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let named = self.bulk.users_named(&names).await.context("cannot look up the users")?;
        let mut users = Vec::new();
        for ((number, email), name) in new.into_iter().zip(emails).zip(names) {
            let id = if let Some(id) = imported.get(&email) {
                *id
            } else {
                let id = self.ids.next();
                let is_taken = named.contains_key(name);
                let username =
                    if is_taken { self.free_username(name).await? } else { name.to_owned() };
                users.push(User { id, username, email, ..User::default() });
                id
            };
            self.users.insert(number, id);
        }
        self.bulk.add_users(&users).await.context("cannot add the users")?;
        self.summary.users_added += users.len() as u64;
        Ok(())
    }

    /// A username for an imported user whose name is taken.
    async fn free_username(&self, name: &str) -> Result<String> {
        let mut username = format!("{name}_import");
        let mut number = 1;
        while !self.bulk.users_named(&[&username]).await?.is_empty() {
            number += 1;
            username = format!("{name}_import{number}");
        }
        Ok(username)
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
        self.bulk.delete_accepted_requests().await.context("cannot delete the requests")?;
        self.bulk.recount(&users).await.context("cannot set the users' counts")?;
        self.bulk.commit().await?;
        Ok(self.summary)
    }
}

/// The address of an imported user. It receives no mail.
fn email(number: UserNumber) -> String {
    format!("u{number}@import.invalid")
}
