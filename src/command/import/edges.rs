//! `import edges`: who follows whom, from an edge list as public graph collections publish them. A
//! line `a b` says that the user `ua` follows the user `ub`; `#` begins a comment.
//!
//! Users are made as the edges name them. They have no password and no address that mail reaches;
//! who is there already stays as is. The same file again adds nothing.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use sea_orm::{DbErr, SqlErr};

use super::lines::{Lines, Problems};
use crate::command::bulk::{self, Bulk, CHUNK, Follow, User};
use crate::command::indexes::{self, SetAside, Which};
use crate::database::{self, Database};
use crate::key::{COMMAND_NODE, Keys};

/// What an import of edges found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines with an edge: neither blank nor a comment.
    pub edges: u64,
    pub users_added: u64,
    pub follows_added: u64,
    /// Edges that an earlier line had already.
    pub duplicates: u64,
    /// Edges that were in the database before the import.
    pub already_there: u64,
}

/// Imports the file at `path`, or nothing of it.
///
/// # Errors
/// When the file cannot be read, when a line is bad (the first ones are named by number), or when
/// the database refuses.
pub async fn run(db: &Database, path: &Path, progress: &ProgressBar) -> Result<Summary> {
    let mut lines = Lines::open(path, progress)?;
    progress.set_message("edges");
    let mut import = Import::begin(db).await?;
    let mut problems = Problems::default();
    while let Some(line) = lines.read()? {
        match line.text.and_then(parse) {
            Ok(Some(edge)) if problems.is_empty() => import.take(edge).await?,
            Ok(_) => {}
            Err(what) => problems.add(line.number, what),
        }
    }
    problems.check(path)?;
    progress.set_message("counting");
    import.finish().await
}

/// A user's number in the file.
type Node = u64;

fn parse(line: &str) -> Result<Option<(Node, Node)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(from), Some(to), None) = (words.next(), words.next(), words.next()) else {
        return Err("does not have exactly two numbers".to_owned());
    };
    let edge = (node(from)?, node(to)?);
    if edge.0 == edge.1 {
        return Err(format!("says that user {} follows itself", edge.0));
    }
    Ok(Some(edge))
}

fn node(word: &str) -> Result<Node, String> {
    const LONGEST: usize = 40;
    let shown = || word.chars().take(LONGEST).collect::<String>();
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("has {:?} where a number belongs", shown()));
    }
    word.parse().map_err(|_| format!("has a number larger than {}: {}", Node::MAX, shown()))
}

struct Import<'a> {
    bulk: Bulk<'a>,
    indexes: SetAside,
    keys: Keys,
    /// Smaller than any key that this import makes.
    before: i64,
    users: HashMap<Node, i64>,
    edges: Vec<(Node, Node)>,
    summary: Summary,
}

impl<'a> Import<'a> {
    async fn begin(db: &'a Database) -> Result<Self> {
        let bulk = Bulk::begin(db).await?;
        let before = bulk.largest_key().await?;
        let indexes = indexes::set_aside(&bulk, "follow", Which::NotUnique, 0).await?;
        Ok(Self {
            bulk,
            indexes,
            keys: Keys::new(database::Node::fixed(COMMAND_NODE), before),
            before,
            users: HashMap::new(),
            edges: Vec::with_capacity(CHUNK),
            summary: Summary::default(),
        })
    }

    async fn take(&mut self, edge: (Node, Node)) -> Result<()> {
        self.edges.push(edge);
        if self.edges.len() == CHUNK {
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        self.meet_users().await?;
        let follows: Vec<Follow> = self
            .edges
            .iter()
            .filter_map(|(from, to)| {
                let (follower, to) = (*self.users.get(from)?, *self.users.get(to)?);
                Some(Follow { id: self.keys.next(), follower, followed: to })
            })
            .collect();
        let added = self.bulk.add_new_follows(&follows).await.context("cannot add the follows")?;
        let edges = follows.len() as u64;
        let already_there = if added == edges { 0 } else { self.count_old(&follows).await? };
        self.summary.edges += edges;
        self.summary.follows_added += added;
        self.summary.already_there += already_there;
        self.summary.duplicates += edges - added - already_there;
        self.edges.clear();
        Ok(())
    }

    /// Finds or makes the users that the edges name for the first time.
    async fn meet_users(&mut self) -> Result<()> {
        let nodes = self.edges.iter().flat_map(|(from, to)| [*from, *to]);
        let mut new: Vec<Node> = nodes.filter(|node| !self.users.contains_key(node)).collect();
        new.sort_unstable();
        new.dedup();
        let names: Vec<String> = new.iter().map(|node| format!("u{node}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = self.bulk.users_named(&names).await.context("cannot look up the users")?;
        let mut users = Vec::new();
        for (node, name) in new.into_iter().zip(names) {
            let id = found.get(name).copied().unwrap_or_else(|| {
                let id = self.keys.next();
                users.push(stranger(id, name));
                id
            });
            self.users.insert(node, id);
        }
        self.bulk.add_users(&users).await.map_err(explain)?;
        self.summary.users_added += users.len() as u64;
        Ok(())
    }

    /// How many of these follows were in the database before the import.
    async fn count_old(&self, follows: &[Follow]) -> Result<u64> {
        let count = format!(
            "SELECT count(*) AS number FROM {}
            JOIN follow ON follower_id = CAST(edge.value ->> 0 AS bigint)
                AND followed_id = CAST(edge.value ->> 1 AS bigint)
            WHERE follow.id <= $2",
            self.bulk.engine().each_element("edge")
        );
        let edges = bulk::json(follows.iter().map(|follow| (follow.follower, follow.followed)))?;
        let old = self.bulk.number(&count, [edges, self.before.into()]).await?;
        Ok(old.unsigned_abs())
    }

    async fn finish(mut self) -> Result<Summary> {
        self.write().await?;
        self.indexes.put_back(&self.bulk).await.context("cannot index the follows")?;
        let users: Vec<i64> = self.users.into_values().collect();
        self.bulk.recount(&users).await.context("cannot set the users' counts")?;
        self.bulk.commit().await?;
        Ok(self.summary)
    }
}

fn stranger(id: i64, name: &str) -> User {
    let email = format!("{name}@import.invalid");
    User { id, username: name.to_owned(), email, ..User::default() }
}

fn explain(error: DbErr) -> anyhow::Error {
    let taken = matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)));
    anyhow::Error::from(error).context(if taken {
        "nothing was imported: an address u...@import.invalid belongs to a user of another name"
    } else {
        "cannot add the users"
    })
}
