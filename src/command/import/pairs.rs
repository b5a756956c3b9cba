//! `rookery import follows`, `blocks` and `mutes`: imports pairs from an edge list.
//!
//! A line `a b` of two numbers means that user `ua` follows, blocks or mutes user `ub`; `edge_list`
//! has the format. Imported users have no password, and an e-mail address such as
//! `ua@import.invalid`, by which they are recognised. No other user can have such an address,
//! because registration rejects the top-level domain `invalid` (RFC 2606). If a user who was not
//! imported has the username, the imported user is `ua_import`. Importing the same file again adds
//! nothing, unless an imported user got a token of the operator and changed the address.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;

use super::edge_list::{self, EdgeListOptions, NumberedPair, UserNumber};
use super::lines::{Lines, Problems};
use crate::command::bulk::{Bulk, Pair, PairTable, ROWS_PER_STATEMENT, User};
use crate::command::indexes::{self, DroppedIndexes, IndexSet};
use crate::database::Database;
use crate::ids::{COMMAND_INSTANCE, IdGenerator, InstanceId};

/// What the first user of a line does to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairKind {
    Follow,
    /// A block ends the follows and the requests to follow between the two users.
    Block,
    /// A mute does not end by itself, and it hides notifications.
    Mute,
}

impl PairKind {
    const fn table(self) -> PairTable {
        match self {
            Self::Follow => PairTable::Follow,
            Self::Block => PairTable::Block,
            Self::Mute => PairTable::Mute,
        }
    }

    /// The pairs, as in a report.
    pub const fn plural(self) -> &'static str {
        self.table().plural()
    }
}

/// Numbers of pairs and users of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines with a pair: neither blank nor a comment.
    pub pairs_read: u64,
    pub users_added: u64,
    pub pairs_added: u64,
    /// Pairs that an earlier line of the file has, and follows that a block prevents.
    pub duplicates: u64,
    /// Pairs that existed before the import.
    pub existing: u64,
    /// Follows that the blocks have ended.
    pub follows_deleted: u64,
    /// Requests to follow that the blocks have ended.
    pub requests_deleted: u64,
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
    kind: PairKind,
    path: &Path,
    options: &EdgeListOptions,
    progress: &ProgressBar,
) -> Result<Outcome> {
    let mut lines = Lines::open(path, progress)?;
    progress.set_message(kind.plural());
    let mut import = Import::begin(db, kind).await?;
    let mut problems = Problems::default();
    while let Some(line) = lines.read()? {
        match line.text.and_then(|text| edge_list::parse(text, options)) {
            Ok(Some(pair)) if options.skip_invalid || problems.is_empty() => {
                import.add(pair).await?;
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
    kind: PairKind,
    indexes: DroppedIndexes,
    ids: IdGenerator,
    /// The largest id before the import.
    max_id_before: i64,
    /// The ids of the users of the file so far.
    users: HashMap<UserNumber, i64>,
    /// Pairs that are not written yet.
    pending: Vec<NumberedPair>,
    summary: Summary,
}

impl<'a> Import<'a> {
    async fn begin(db: &'a Database, kind: PairKind) -> Result<Self> {
        let bulk = Bulk::begin(db).await?;
        let max_id_before = bulk.max_id().await?;
        let table = kind.table().name();
        let indexes = indexes::drop_indexes(&bulk, table, IndexSet::NotUnique, 0).await?;
        Ok(Self {
            bulk,
            kind,
            indexes,
            ids: IdGenerator::new(InstanceId::fixed(COMMAND_INSTANCE), max_id_before),
            max_id_before,
            users: HashMap::new(),
            pending: Vec::with_capacity(ROWS_PER_STATEMENT),
            summary: Summary::default(),
        })
    }

    async fn add(&mut self, pair: NumberedPair) -> Result<()> {
        self.pending.push(pair);
        if self.pending.len() == ROWS_PER_STATEMENT {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes the pending pairs and the users that they need.
    async fn write(&mut self) -> Result<()> {
        self.resolve_users().await?;
        let pairs: Vec<Pair> = self
            .pending
            .iter()
            .filter_map(|(actor, target)| {
                let actor = *self.users.get(actor)?;
                let target = *self.users.get(target)?;
                Some(Pair { id: self.ids.next(), actor, target })
            })
            .collect();
        let table = self.kind.table();
        let added = self.bulk.add_new_pairs(table, &pairs).await;
        let added = added.with_context(|| format!("cannot add the {}", table.plural()))?;
        let read = pairs.len() as u64;
        let existing = if added == read {
            0
        } else {
            let existing = self.bulk.count_pairs(table, &pairs, self.max_id_before).await;
            existing.with_context(|| format!("cannot count the {}", table.plural()))?
        };
        if self.kind == PairKind::Block {
            self.end_contact(&pairs).await?;
        }
        self.summary.pairs_read += read;
        self.summary.pairs_added += added;
        self.summary.existing += existing;
        self.summary.duplicates += read - added - existing;
        self.pending.clear();
        Ok(())
    }

    /// Deletes the follows, requests and notifications between the users of each block.
    async fn end_contact(&mut self, blocks: &[Pair]) -> Result<()> {
        let follows = self.bulk.delete_between(PairTable::Follow, blocks).await;
        self.summary.follows_deleted += follows.context("cannot delete the follows")?;
        let requests = self.bulk.delete_between(PairTable::FollowRequest, blocks).await;
        self.summary.requests_deleted += requests.context("cannot delete the requests")?;
        let notifications = self.bulk.delete_notifications_between(blocks).await;
        notifications.context("cannot delete the notifications")
    }

    /// Looks up or creates the users of the pending pairs.
    async fn resolve_users(&mut self) -> Result<()> {
        let numbers = self.pending.iter().flat_map(|(actor, target)| [*actor, *target]);
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

    async fn finish(mut self) -> Result<Summary> {
        self.write().await?;
        let plural = self.kind.plural();
        let recreated = self.indexes.recreate(&self.bulk).await;
        recreated.with_context(|| format!("cannot create the indexes of the {plural}"))?;
        if self.kind == PairKind::Follow {
            let deleted = self.bulk.delete_accepted_requests().await;
            deleted.context("cannot delete the requests")?;
        }
        // Follows were deleted between users of the file only, so no other counts have changed.
        let users: Vec<i64> = self.users.into_values().collect();
        self.bulk.recount(&users).await.context("cannot set the users' counts")?;
        self.bulk.commit().await?;
        Ok(self.summary)
    }
}

/// The address of an imported user. It receives no mail.
fn email(number: UserNumber) -> String {
    format!("u{number}@import.invalid")
}
