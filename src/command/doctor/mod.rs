//! `doctor`: proves that what is stored twice agrees and that nothing points into the void, and
//! with `repair` makes it so. Rookery keeps both true by itself; what is found here came from
//! outside: a disk, another program, a hand in the file.
//!
//! Each check is one statement over the whole table, never one per user, and all of them see the same
//! moment, so a service that writes meanwhile does not look wrong.

#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use sea_orm::FromQueryResult;

use super::bulk::{Bulk, COUNTS};
use super::progress;
use crate::database::{Database, Engine, Snapshot};

/// How many findings of a kind are named; the rest are counted.
const NAMED: usize = 20;

/// What each count of a user counts: its column, and the table and column that refer to the user.
const COUNTED: [(&str, &str, &str); 3] = [
    ("followers_count", "follow", "followed_id"),
    ("following_count", "follow", "follower_id"),
    ("posts_count", "post", "author_id"),
];

/// Who refers to whom: a table, its column, and the table that the column points to. What a repair
/// deletes with a post comes after it.
const REFERENCES: [(&str, &str, &str); 6] = [
    ("follow", "follower_id", "user"),
    ("follow", "followed_id", "user"),
    ("post", "author_id", "user"),
    ("session", "user_id", "user"),
    ("bookmark", "user_id", "user"),
    ("bookmark", "post_id", "post"),
];

/// What was found, and after a repair what is still left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub found: Vec<Finding>,
    pub left: Option<Vec<Finding>>,
}

/// Everything of one kind that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub check: &'static str,
    pub count: usize,
    /// The first ones, a line each.
    pub named: Vec<String>,
}

/// Looks the whole database over.
///
/// # Errors
/// When the database cannot be read or, for a repair, written.
pub async fn run(db: &Database, repair: bool, progress: &ProgressBar) -> Result<Report> {
    progress::rows(progress, 0);
    let found = examine(db, progress).await?;
    if !repair || found.is_empty() {
        return Ok(Report { found, left: None });
    }
    progress.set_message("repairing");
    mend(db).await.context("cannot repair the database; nothing was changed")?;
    let left = examine(db, progress).await?;
    Ok(Report { found, left: Some(left) })
}

async fn examine(db: &Database, progress: &ProgressBar) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut checks = vec![
        ("rows point to something that is not there", orphans()),
        ("users follow themselves", SELF_FOLLOWS.to_owned()),
    ];
    checks.extend(COUNTED.map(|counted| (counted.0, wrong_counts(counted))));
    if db.engine() == Engine::Sqlite {
        checks.insert(0, ("the file is damaged", DAMAGE.to_owned()));
    }
    progress.inc_length(checks.len() as u64);
    let moment = Snapshot::patient(db).await.context("cannot read the database")?;
    for (check, sql) in checks {
        progress.set_message(check);
        let found = find(&moment, check, &sql).await;
        findings.extend(found.with_context(|| format!("cannot check: {check}"))?);
        progress.inc(1);
    }
    Ok(findings)
}

const DAMAGE: &str = "
    SELECT integrity_check AS line, count(*) OVER () AS total
    FROM pragma_integrity_check WHERE integrity_check <> 'ok'";

const SELF_FOLLOWS: &str = r#"
    SELECT username || ': follow ' || follow.id AS line, count(*) OVER () AS total
    FROM follow JOIN "user" ON "user".id = follower_id
    WHERE follower_id = followed_id ORDER BY follow.id"#;

fn orphans() -> String {
    let of_each = REFERENCES.map(|(table, column, parent)| {
        let dangling = dangling(table, column, parent);
        format!(
            "SELECT '{table} ' || id || ' points to a missing {parent}' AS line \
             FROM {table} WHERE {dangling}"
        )
    });
    let all = of_each.join(" UNION ALL ");
    format!("SELECT line, count(*) OVER () AS total FROM ({all}) AS orphans")
}

/// The row of `table` points into the void.
fn dangling(table: &str, column: &str, parent: &str) -> String {
    format!(r#"NOT EXISTS (SELECT 1 FROM "{parent}" AS parent WHERE parent.id = {table}.{column})"#)
}

fn wrong_counts((count, table, column): (&str, &str, &str)) -> String {
    format!(
        r#"SELECT username || ': {count} is ' || stored || ', should be ' || counted AS line,
            count(*) OVER () AS total
        FROM (
            SELECT id, username, {count} AS stored,
                (SELECT count(*) FROM {table} WHERE {column} = "user".id) AS counted
            FROM "user"
        ) AS counts WHERE stored <> counted ORDER BY id"#
    )
}

/// Runs a check: its rows are what is wrong.
async fn find(moment: &Snapshot, check: &'static str, sql: &str) -> Result<Option<Finding>> {
    #[derive(FromQueryResult)]
    struct Row {
        line: String,
        total: i64,
    }
    let rows: Vec<Row> = moment.all(&format!("{sql} LIMIT {NAMED}"), []).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let count = usize::try_from(first.total)?;
    Ok(Some(Finding { check, count, named: rows.into_iter().map(|row| row.line).collect() }))
}

/// Deletes what points into the void and sets the counts, in one transaction.
async fn mend(db: &Database) -> Result<()> {
    let bulk = Bulk::begin(db).await?;
    for (table, column, parent) in REFERENCES {
        let orphans = dangling(table, column, parent);
        bulk.execute(&format!("DELETE FROM {table} WHERE {orphans}"), []).await?;
    }
    bulk.execute("DELETE FROM follow WHERE follower_id = followed_id", []).await?;
    let real = COUNTED
        .map(|(_, table, column)| {
            format!(r#"(SELECT count(*) FROM {table} WHERE {column} = "user".id)"#)
        })
        .join(", ");
    let stored = COUNTED.map(|(count, ..)| count).join(", ");
    let wrong = format!("({stored}) <> ({real})");
    bulk.execute(&format!(r#"UPDATE "user" SET {COUNTS} WHERE {wrong}"#), []).await?;
    bulk.commit().await
}

impl Report {
    /// Whether all is well now.
    pub fn is_clean(&self) -> bool {
        self.left.as_ref().unwrap_or(&self.found).is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found.is_empty() {
            return writeln!(out, "all is well");
        }
        self.found.iter().try_for_each(|finding| finding.fmt(out))?;
        match self.left.as_deref() {
            None => Ok(()),
            Some([]) => writeln!(out, "repaired"),
            Some(left) => {
                writeln!(out, "repaired, but for this:")?;
                left.iter().try_for_each(|finding| finding.fmt(out))
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} ({})", self.check, self.count)?;
        for line in &self.named {
            writeln!(out, "  {line}")?;
        }
        match self.count - self.named.len() {
            0 => Ok(()),
            more => writeln!(out, "  and {more} more"),
        }
    }
}
