//! Search: posts by their words, newest first, and users by their names.
//!
//! A search for posts walks posts in the order of their ids, a bounded number in each statement,
//! until the page is full. Posts that match and that the viewer may not see are walked, too. Their
//! rows are charged before they are read, so that the maximum of work ends a long walk. Candidates
//! of PostgreSQL's index are charged afterwards, when their number is known.
//!
//! [`Source`] has the ways to walk. All of them find the same posts, so a walk can change its way
//! at any position. To walk all posts is fast for common words, and to use the index for rare ones.
//! A walk begins with posts, and tries the index after some of them: once, or twice on PostgreSQL
//! without an author. There the attempt has a limit of the matches, because the index returns them
//! in no order.

mod query;
mod sql;
mod users;

use entity::post;
use sea_orm::{FromQueryResult, Value};

use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, Page, PageRequest};

pub use query::{MAX_LENGTH, SearchQuery, Term};
pub use sql::{Source, sql};
pub use users::{SIZES, users};

/// Maximum number of matches that one statement looks at.
const MATCH_WINDOW: usize = 2_000;
/// Maximum number of posts of all users that one statement compares.
const RECENT_WINDOW: usize = 16_000;
/// Maximum number of an author's posts whose bodies are read in one statement.
const AUTHOR_WINDOW: usize = 500;

/// An attempt of a walk through posts to use the index.
#[derive(Clone, Copy)]
struct Attempt {
    /// Number of compared posts after which it is made.
    after: usize,
    /// Maximum number of posts with all words, on PostgreSQL.
    candidates: usize,
}

/// The attempts of a walk to find all matches of words that are rare.
///
/// Common words fill the page with the posts before. Each attempt takes about as long as the
/// comparisons around it, so a walk takes a small multiple of the time of the fastest way.
const ATTEMPTS: [Attempt; 2] =
    [Attempt { after: 2_000, candidates: 10_000 }, Attempt { after: 32_000, candidates: 100_000 }];
/// Posts whose words are compared before other tasks may run.
const POSTS_BETWEEN_YIELDS: usize = 50;
/// Look-ups for a match: the index, the post, its author, and a follow.
const LOOKUPS_PER_MATCH: usize = 4;

/// A search for posts.
#[derive(Clone, Debug)]
pub struct PostSearch {
    pub query: SearchQuery,
    /// Id of the viewer; 0 for an anonymous client.
    pub viewer: i64,
    /// Id of the only author, if there is one.
    pub author: Option<i64>,
}

/// A page of the posts that match and that the viewer may see, newest first.
///
/// # Errors
/// [`Error::TooMuchWork`] when too many posts are looked at; any error of the database.
pub async fn posts(
    snapshot: &Snapshot,
    search: &PostSearch,
    request: &PageRequest<i64>,
) -> Result<Page<post::Model>, Error> {
    let id = |post: &post::Model| post.id;
    if search.query.is_empty() {
        return Ok(Page::new(request, vec![], id));
    }
    let walk = Walk { snapshot, search, expression: search.query.expression(snapshot.engine()) };
    let (start, end) = request.bounds();
    let limit = usize::from(request.size) + 1;
    let mut ids = walk.find((start, end), request.direction, limit).await?;
    // The nearest post beyond each cursor, which shows whether there is another page.
    if request.after.is_some() {
        ids.extend(walk.find((i64::MAX, start - 1), Direction::Backward, 1).await?);
    }
    if request.before.is_some() {
        ids.extend(walk.find((end + 1, 0), Direction::Forward, 1).await?);
    }
    if ids.is_empty() {
        return Ok(Page::new(request, vec![], id));
    }
    let rows = ids.len() * LOOKUPS_PER_MATCH;
    let values = [snapshot.engine().bind_ids(ids), search.viewer.into()];
    let posts = snapshot.all(rows, &sql::posts_sql(snapshot.engine()), values).await?;
    Ok(Page::new(request, posts, id))
}

/// A post or an entry of the index that a walk has looked at.
#[derive(FromQueryResult)]
struct Looked {
    id: i64,
    /// Whether the search shows the post.
    is_shown: bool,
    /// Number of rows that the statement compared on PostgreSQL: candidates, or posts.
    total: i64,
}

/// A post of the only author.
#[derive(FromQueryResult)]
struct AuthorPost {
    id: i64,
    body: String,
}

/// How far a walk is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Number of posts that were compared.
    compared: usize,
    /// Number of matches of the index that were looked at.
    matched: usize,
    /// Number of attempts to use the index that have ended.
    attempts: usize,
}

struct Walk<'a> {
    snapshot: &'a Snapshot,
    search: &'a PostSearch,
    expression: String,
}

impl Walk<'_> {
    /// The ids of the first posts between the bounds, at most `wanted`.
    ///
    /// The bounds are the upper and the lower one, both exclusive.
    async fn find(
        &self,
        (mut upper, mut lower): (i64, i64),
        direction: Direction,
        wanted: usize,
    ) -> Result<Vec<i64>, Error> {
        let (engine, has_author) = (self.snapshot.engine(), self.search.author.is_some());
        let (mut found, mut progress) = (Vec::with_capacity(wanted), Progress::default());
        loop {
            let (source, window) = step(engine, has_author, progress, wanted);
            let looked = self.look(source, (upper, lower), direction, window).await?;
            let Some((rows, is_end)) = looked else {
                // The other posts of an author are walked sooner than more candidates.
                progress.attempts = if has_author { ATTEMPTS.len() } else { progress.attempts + 1 };
                continue;
            };
            let shown = rows.iter().filter(|row| row.is_shown).map(|row| row.id);
            found.extend(shown.take(wanted - found.len()));
            let Some(last) = rows.last().filter(|_| !is_end && found.len() < wanted) else {
                return Ok(found);
            };
            match direction {
                Direction::Forward => upper = last.id,
                Direction::Backward => lower = last.id,
            }
            match source {
                // The newest matches did not fill the page, so the author's other posts follow.
                Source::Matches { .. } if has_author => {
                    progress.attempts = ATTEMPTS.len();
                }
                Source::Matches { .. } => progress.matched += window,
                Source::Recent | Source::Author => progress.compared += window,
            }
        }
    }

    /// Looks at the next `window` rows, in the order of the walk.
    ///
    /// Returns the rows, and whether there are no more. `None` if the index finds too many
    /// candidates.
    async fn look(
        &self,
        source: Source,
        bounds: (i64, i64),
        direction: Direction,
        window: usize,
    ) -> Result<Option<(Vec<Looked>, bool)>, Error> {
        let sql = sql(self.snapshot.engine(), source, self.search.author.is_some(), direction);
        let mut values = vec![self.expression.clone().into()];
        values.extend(self.values(bounds, window));
        let total = |rows: &[Looked]| -> usize {
            rows.first().map_or(0, |row| usize::try_from(row.total).unwrap_or_default())
        };
        let (mut rows, looked) = match source {
            Source::Author => {
                let rows = self.author_posts(&sql, bounds, window).await?;
                let looked = rows.len();
                (rows, looked)
            }
            Source::Recent => {
                let rows: Vec<Looked> = self.snapshot.all(window, &sql, values).await?;
                let looked = total(&rows);
                (rows, looked)
            }
            Source::Matches { candidates } => {
                let lookups = window * LOOKUPS_PER_MATCH;
                let mut rows: Vec<Looked> = self.snapshot.all(lookups, &sql, values).await?;
                let total = total(&rows);
                rows.retain(|row| row.id > 0);
                self.snapshot.charge_read(total.saturating_sub(rows.len()));
                if total > candidates {
                    return Ok(None);
                }
                let looked = rows.len();
                (rows, looked)
            }
        };
        rows.sort_unstable_by_key(|row| match direction {
            Direction::Forward => -row.id,
            Direction::Backward => row.id,
        });
        Ok(Some((rows, looked < window)))
    }

    /// Reads posts of the author, and compares their words with the query.
    ///
    /// To look up each post in FTS5 would take longer.
    async fn author_posts(
        &self,
        sql: &str,
        bounds: (i64, i64),
        window: usize,
    ) -> Result<Vec<Looked>, Error> {
        let values = self.values(bounds, window);
        let posts: Vec<AuthorPost> = self.snapshot.all(window, sql, values).await?;
        let mut looked = Vec::with_capacity(posts.len());
        for posts in posts.chunks(POSTS_BETWEEN_YIELDS) {
            let look = |post: &AuthorPost| Looked {
                id: post.id,
                is_shown: self.search.query.matches(&post.body),
                total: 0,
            };
            looked.extend(posts.iter().map(look));
            tokio::task::yield_now().await;
        }
        Ok(looked)
    }

    /// The values of the bounds, the window, the viewer, and of an author.
    fn values(&self, (upper, lower): (i64, i64), window: usize) -> Vec<Value> {
        let window = i64::try_from(window).unwrap_or(i64::MAX);
        let values = [upper.into(), lower.into(), window.into(), self.search.viewer.into()];
        values.into_iter().chain(self.search.author.map(Value::from)).collect()
    }
}

/// How to walk on, and the number of rows to look at.
///
/// The first statement looks at few rows, and the next ones at more and more.
///
/// On SQLite the index returns the newest matches first, so a search without an author has no
/// other source.
fn step(
    engine: Engine,
    has_author: bool,
    Progress { compared, matched, attempts }: Progress,
    wanted: usize,
) -> (Source, usize) {
    let grown = |rows: usize| if rows == 0 { 8 * wanted } else { 7 * rows };
    let attempt = ATTEMPTS.get(attempts);
    let until_attempt =
        attempt.map_or(usize::MAX, |attempt| attempt.after.saturating_sub(compared));
    let (posts, max) = match engine {
        _ if has_author => (Source::Author, AUTHOR_WINDOW),
        Engine::Postgres => (Source::Recent, RECENT_WINDOW),
        Engine::Sqlite => {
            let window = if matched == 0 { wanted } else { grown(matched) };
            return (Source::Matches { candidates: usize::MAX }, window.min(MATCH_WINDOW));
        }
    };
    match attempt {
        Some(Attempt { candidates, .. }) if until_attempt == 0 => {
            let window = if has_author { MATCH_WINDOW } else { grown(matched).min(MATCH_WINDOW) };
            (Source::Matches { candidates: *candidates }, window)
        }
        _ => (posts, grown(compared).min(until_attempt).min(max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of a walk that finds too little.
    ///
    /// Its attempts find too many candidates.
    fn steps(engine: Engine, has_author: bool, count: usize) -> Vec<(Source, usize)> {
        let mut progress = Progress::default();
        let next = || {
            let (source, window) = step(engine, has_author, progress, 21);
            match source {
                Source::Matches { .. } => {
                    progress.attempts += 1;
                    progress.matched += window;
                }
                Source::Recent | Source::Author => progress.compared += window,
            }
            (source, window)
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn a_walk_compares_posts_and_tries_the_index_with_more_and_more_candidates() {
        use Source::{Matches, Recent};
        let (few, many) = (Matches { candidates: 10_000 }, Matches { candidates: 100_000 });
        let steps = steps(Engine::Postgres, false, 7);
        let sources: Vec<Source> = steps.iter().map(|(source, _)| *source).collect();
        assert_eq!(sources, [Recent, Recent, Recent, few, Recent, Recent, many], "{steps:?}");
        let compared = |steps: &[(Source, usize)]| -> usize {
            steps.iter().filter(|(source, _)| *source == Recent).map(|(_, window)| window).sum()
        };
        assert_eq!((compared(&steps[..3]), compared(&steps)), (2_000, 32_000), "{steps:?}");
    }

    #[test]
    fn the_windows_of_all_steps_are_bounded() {
        for (engine, has_author) in [
            (Engine::Sqlite, false),
            (Engine::Sqlite, true),
            (Engine::Postgres, false),
            (Engine::Postgres, true),
        ] {
            for (source, window) in steps(engine, has_author, 200) {
                let max = match source {
                    Source::Matches { .. } => MATCH_WINDOW,
                    Source::Recent => RECENT_WINDOW,
                    Source::Author => AUTHOR_WINDOW,
                };
                assert!((1..=max).contains(&window), "{engine:?} {source:?}: {window}");
            }
        }
    }
}
