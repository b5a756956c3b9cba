//! Search for users by the beginnings of the words of their names.

use std::ops::RangeInclusive;

use entity::user;
use sea_orm::{FromQueryResult, QueryResult};

use super::SearchQuery;
use crate::database::{Engine, SearchIndex, Snapshot};
use crate::error::Error;

/// Allowed numbers of users.
pub const SIZES: RangeInclusive<i32> = 1..=50;
/// Maximum number of users that are ranked, of each of the two sources.
const CANDIDATES: usize = 1_000;

/// A user whom a search has found.
struct FoundUser {
    user: user::UserSummary,
    /// Number of all users who were ranked.
    total: i64,
}

impl FromQueryResult for FoundUser {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        let user = user::UserSummary::from_query_result(row, prefix)?;
        Ok(Self { user, total: row.try_get_by_index(user::UserSummary::COLUMNS)? })
    }
}

/// The users with names that match, the best first.
///
/// # Errors
/// [`Error::OutOfRange`] when `first` is not in [`SIZES`], or the text is too long; any error of
/// the database.
pub async fn users(
    snapshot: &Snapshot,
    text: &str,
    first: i32,
) -> Result<Vec<user::UserSummary>, Error> {
    let (min, max) = (*SIZES.start(), *SIZES.end());
    let size = usize::try_from(first).ok().filter(|_| SIZES.contains(&first));
    let size = size.ok_or(Error::OutOfRange { argument: "first", min, max })?;
    let query = SearchQuery::parse_names(text)?;
    if query.is_empty() {
        return Ok(vec![]);
    }
    let engine = snapshot.engine();
    let name = user::normalize_identifier(text.trim().trim_start_matches('@'));
    let end = format!("{name}~");
    let values = [name.into(), end.into(), query.expression(engine).into(), first.into()];
    let found: Vec<FoundUser> = snapshot.all(size, &sql(engine), values).await?;
    let total = found.first().map_or(0, |found| found.total);
    let total = usize::try_from(total).unwrap_or_default();
    snapshot.charge_read(total.saturating_sub(size));
    Ok(found.into_iter().map(|found| found.user).collect())
}

/// The statement of a search for users.
///
/// Its parameters are the range of usernames, the expression of the query, and the number of users.
/// Usernames are in lower case. An exact one is the first of its range.
#[must_use]
pub fn sql(engine: Engine) -> String {
    let (table, key) = (SearchIndex::Users.table(), SearchIndex::Users.key(engine));
    let is_match = match engine {
        Engine::Sqlite => format!("{table} MATCH $3"),
        Engine::Postgres => "words @@ CAST($3 AS tsquery)".to_owned(),
    };
    let (summary, name) = (user::SUMMARY_COLUMNS, "lower(username)");
    format!(
        "SELECT {summary}, count(*) OVER () AS total FROM \"user\" WHERE id IN ( \
           SELECT id FROM (SELECT id FROM \"user\" WHERE {name} >= $1 AND {name} < $2 \
             ORDER BY {name} LIMIT {CANDIDATES}) AS named \
           UNION SELECT id FROM (SELECT {key} AS id FROM {table} WHERE {is_match} \
             ORDER BY {key} LIMIT {CANDIDATES}) AS worded) \
         ORDER BY CASE WHEN {name} = $1 THEN 0 WHEN {name} >= $1 AND {name} < $2 THEN 1 ELSE 2 END, \
           followers_count DESC, id LIMIT $4"
    )
}
