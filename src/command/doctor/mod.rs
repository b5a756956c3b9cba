//! `rookery doctor`: checks the database, and repairs it with `--repair`.
//!
//! It checks that the tables and indexes are those of the migrations, that all references are
//! valid, that stored counts equal the counted rows, that rows have the values that the service
//! writes, and on SQLite that the file is intact. Rookery maintains these itself; problems come
//! from a faulty disk or clock, or from writes by other programs. Each check is one statement over
//! a whole table. All checks read from one snapshot, so a server may write meanwhile.

mod definitions;
mod invariants;
mod notifications;
#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Context as _, Result};
use entity::{Count, Reference, TABLES, Table};
use indicatif::ProgressBar;
use sea_orm::{ConnectionTrait as _, FromQueryResult};

use crate::command::bulk::{Bulk, count_subquery, counts_of, set_counts_sql};
use crate::command::progress;
use crate::database::{Database, Engine, SearchIndex, Snapshot, driver_message};

/// Maximum number of examples of a finding.
const MAX_EXAMPLES: usize = 20;

/// The result of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub found: Vec<Finding>,
    /// The findings after a repair; `None` without a repair.
    pub remaining: Option<Vec<Finding>>,
}

/// The problems that a check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub check: &'static str,
    pub count: usize,
    /// The first problems, a line each.
    pub examples: Vec<String>,
}

/// Checks the database, and repairs it if `repair` is set.
///
/// # Errors
/// Any error of the database.
pub async fn run(db: &Database, repair: bool, progress: &ProgressBar) -> Result<Report> {
    progress::rows(progress, 0);
    let found = run_checks(db, progress).await?;
    if !repair || found.is_empty() {
        return Ok(Report { found, remaining: None });
    }
    progress.set_message("repair");
    repair_database(db).await.context("cannot repair the database; nothing was changed")?;
    let remaining = run_checks(db, progress).await?;
    Ok(Report { found, remaining: Some(remaining) })
}

async fn run_checks(db: &Database, progress: &ProgressBar) -> Result<Vec<Finding>> {
    let mut checks = vec![
        ("rows refer to missing rows", orphans()),
        ("users follow themselves", SELF_FOLLOWS.to_owned()),
    ];
    let counts = COUNTING.into_iter().flat_map(|(table, name)| {
        counts_of(table).map(move |count| (count.1.column, wrong_counts(name, count)))
    });
    checks.extend(counts);
    if db.engine() == Engine::Sqlite {
        checks.insert(0, ("the file is damaged", DAMAGE.to_owned()));
    }
    checks.extend(invariants::all(db.engine()).into_iter().map(|check| (check.name, check.sql)));
    progress.inc_length(checks.len() as u64 + 1);
    let snapshot = Snapshot::without_timeouts(db).await.context("cannot read the database")?;
    progress.set_message(SCHEMA_DIFFERS);
    let differences = definitions::differences(db, &snapshot).await?;
    let mut findings = Vec::new();
    if !differences.is_empty() {
        let count = differences.len();
        let examples = differences.iter().map(|difference| difference.line.clone());
        let examples = examples.take(MAX_EXAMPLES).collect();
        findings.push(Finding { check: SCHEMA_DIFFERS, count, examples });
    }
    if differences.iter().any(|difference| difference.is_fatal) {
        return Ok(findings);
    }
    progress.inc(1);
    if db.engine() == Engine::Sqlite {
        for index in SearchIndex::ALL {
            let refresh = db.statement(&index.refresh_sql(), []);
            let transaction = snapshot.transaction().await?;
            transaction.query_all_raw(refresh).await.context("cannot read a search index")?;
        }
    }
    for (check, sql) in checks {
        progress.set_message(check);
        let finding = run_check(&snapshot, check, &sql).await;
        findings.extend(finding.with_context(|| format!("the check '{check}' failed"))?);
        progress.inc(1);
    }
    Ok(findings)
}

/// The check of tables, columns, indexes and constraints.
const SCHEMA_DIFFERS: &str = "the schema differs from the migrations";

/// SQL that selects the problems of an SQLite file.
const DAMAGE: &str = "
    SELECT integrity_check AS line, count(*) OVER () AS total
    FROM pragma_integrity_check WHERE integrity_check <> 'ok'";

/// SQL that selects the follows of a user by itself.
const SELF_FOLLOWS: &str = r#"
    SELECT username || ': follow ' || follow.id AS line, count(*) OVER () AS total
    FROM follow JOIN "user" ON "user".id = follower_id
    WHERE follower_id = followed_id ORDER BY follow.id"#;

/// SQL that selects the rows with a reference to a missing row.
fn orphans() -> String {
    let queries = references().map(|(table, reference)| {
        let dangling = is_dangling(table, reference);
        let (from, table, parent) = (table.quoted(), table.name, reference.table);
        format!(
            "SELECT '{table} ' || id || ' refers to a missing {parent}' AS line \
             FROM {from} WHERE {dangling}"
        )
    });
    let all = queries.collect::<Vec<_>>().join(" UNION ALL ");
    format!("SELECT line, count(*) OVER () AS total FROM ({all}) AS orphans")
}

/// The SQL condition that a row of `table` has this reference to a missing row.
fn is_dangling(table: &Table, Reference { column, table: parent }: &Reference) -> String {
    let table = table.quoted();
    format!(
        r#"{table}.{column} IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM "{parent}" AS parent WHERE parent.id = {table}.{column})"#
    )
}

/// All references of all tables.
fn references() -> impl Iterator<Item = (&'static Table, &'static Reference)> {
    TABLES.iter().flat_map(|table| table.references.iter().map(move |each| (table, each)))
}

/// The tables with stored counts, and the SQL expression that names a row.
const COUNTING: [(&str, &str); 2] = [("user", "username"), ("post", "'post ' || id")];

/// SQL that selects the rows whose stored count is wrong.
///
/// `name` is the expression that names a row.
fn wrong_counts(name: &str, (counted, count): (&Table, &Count)) -> String {
    let Count { table, column, .. } = count;
    let counted = count_subquery(counted, count);
    format!(
        r#"SELECT name || ': {column} is ' || stored || ', should be ' || counted AS line,
            count(*) OVER () AS total
        FROM (
            SELECT id, {name} AS name, {column} AS stored, {counted} AS counted FROM "{table}"
        ) AS counts WHERE stored <> counted ORDER BY id"#
    )
}

/// Runs a check, whose SQL selects a row for each problem.
async fn run_check(snapshot: &Snapshot, check: &'static str, sql: &str) -> Result<Option<Finding>> {
    #[derive(FromQueryResult)]
    struct Row {
        line: String,
        total: i64,
    }
    let rows: Vec<Row> = snapshot.all_unmetered(&format!("{sql} LIMIT {MAX_EXAMPLES}")).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let count = usize::try_from(first.total)?;
    let examples = rows.into_iter().map(|row| row.line).collect();
    Ok(Some(Finding { check, count, examples }))
}

/// Repairs the rows and the counts, and then creates what is missing.
///
/// An index that cannot be created, because rows are duplicates, remains a finding.
async fn repair_database(db: &Database) -> Result<()> {
    let snapshot = Snapshot::without_timeouts(db).await?;
    let differences = definitions::differences(db, &snapshot).await?;
    drop(snapshot);
    if differences.iter().any(|difference| difference.is_fatal) {
        return Ok(());
    }
    repair_rows(db).await?;
    for repair in differences.into_iter().filter_map(|difference| difference.repair) {
        // Without the timeout of statements: the index of a large table takes long.
        let transaction = db.begin_exclusive().await?;
        if let Err(error) = transaction.execute_unprepared(&repair).await {
            tracing::warn!(error = driver_message(&error), repair, "could not repair the schema");
            continue;
        }
        transaction.commit().await?;
    }
    Ok(())
}

async fn repair_rows(db: &Database) -> Result<()> {
    let bulk = Bulk::begin(db).await?;
    bulk.empty_damaged_indexes().await?;
    // Before the invariants, whose repairs add and keep rows about the rows that are left.
    for (table, reference) in references() {
        let (name, orphans) = (table.quoted(), is_dangling(table, reference));
        bulk.execute(&format!("DELETE FROM {name} WHERE {orphans}"), []).await?;
    }
    for repair in invariants::all(db.engine()).into_iter().filter_map(|check| check.repair) {
        bulk.execute(&repair, []).await?;
    }
    bulk.execute("DELETE FROM follow WHERE follower_id = followed_id", []).await?;
    for (table, _) in COUNTING {
        let (stored, counted): (Vec<_>, Vec<_>) = counts_of(table)
            .map(|(rows, count)| (count.column, count_subquery(rows, count)))
            .unzip();
        let is_wrong = format!("({}) <> ({})", stored.join(", "), counted.join(", "));
        let set_counts = set_counts_sql(table);
        bulk.execute(&format!(r#"UPDATE "{table}" SET {set_counts} WHERE {is_wrong}"#), []).await?;
    }
    bulk.commit().await
}

impl Report {
    /// Whether there are no problems, or none after the repair.
    pub fn is_clean(&self) -> bool {
        self.remaining.as_ref().unwrap_or(&self.found).is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found.is_empty() {
            return writeln!(out, "no problems found");
        }
        self.found.iter().try_for_each(|finding| finding.fmt(out))?;
        match self.remaining.as_deref() {
            None => Ok(()),
            Some([]) => writeln!(out, "repaired"),
            Some(remaining) => {
                writeln!(out, "repaired, except for:")?;
                remaining.iter().try_for_each(|finding| finding.fmt(out))
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} ({})", self.check, self.count)?;
        for line in &self.examples {
            writeln!(out, "  {line}")?;
        }
        match self.count - self.examples.len() {
            0 => Ok(()),
            more => writeln!(out, "  and {more} more"),
        }
    }
}
