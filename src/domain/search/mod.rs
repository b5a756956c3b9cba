//! Search: posts by their words, newest first, and users by their names.
//!
//! A search for posts walks posts in the order of their ids, a bounded number in each statement,
//! until the page is full. Posts that match and that the viewer may not see are walked, too. The
//! rows are charged before they are read, so that the maximum of work ends a long walk.
//!
//! [`Source`] has the ways to walk. All of them find the same posts, so a walk can change its way
//! at any position.

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

/// Number of rows after which a walk changes its way.
///
/// It is also the maximum of each statement.
pub const SCAN_WINDOW: usize = 2_000;
/// Maximum number of an author's posts whose bodies are read in one statement.
const AUTHOR_WINDOW: usize = 500;
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
    /// Number of matches that the statement found altogether, on PostgreSQL.
    total: i64,
}

/// A post of the only author.
#[derive(FromQueryResult)]
struct AuthorPost {
    id: i64,
    body: String,
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
        let (mut found, mut looked) = (Vec::with_capacity(wanted), 0);
        loop {
            let (source, window) = self.step(looked, wanted);
            let rows = self.look(source, (upper, lower), direction, window).await?;
            let shown = rows.iter().filter(|row| row.is_shown).map(|row| row.id);
            found.extend(shown.take(wanted - found.len()));
            let Some(last) = rows.last().filter(|_| rows.len() == window) else {
                return Ok(found);
            };
            if found.len() == wanted {
                return Ok(found);
            }
            match direction {
                Direction::Forward => upper = last.id,
                Direction::Backward => lower = last.id,
            }
            looked += window;
        }
    }

    /// How to walk on after `looked` rows, and the number of rows to look at.
    ///
    /// The first statement looks at few rows, and the next ones at more and more.
    ///
    /// On PostgreSQL the newest posts come first, and then the index, which finds all matches at
    /// once. The newest posts of an author come first, too. If they do not fill the page, the
    /// newest matches follow, which are all of a rare word, and then the author's other posts.
    fn step(&self, looked: usize, wanted: usize) -> (Source, usize) {
        let has_author = self.search.author.is_some();
        let source = match (self.snapshot.engine(), looked.cmp(&SCAN_WINDOW)) {
            (_, std::cmp::Ordering::Equal) => Source::Matches,
            _ if has_author => Source::Author,
            (Engine::Postgres, std::cmp::Ordering::Less) => Source::Recent,
            _ => Source::Matches,
        };
        let rest = SCAN_WINDOW.checked_sub(looked).filter(|rest| *rest > 0).unwrap_or(SCAN_WINDOW);
        let window = match (looked, source) {
            (0, Source::Matches) => wanted,
            (0, _) => 8 * wanted,
            _ => 7 * looked,
        };
        let max = if source == Source::Author { AUTHOR_WINDOW } else { SCAN_WINDOW };
        (source, window.min(rest).min(max))
    }

    /// Looks at the next `window` rows, in the order of the walk.
    async fn look(
        &self,
        source: Source,
        bounds: (i64, i64),
        direction: Direction,
        window: usize,
    ) -> Result<Vec<Looked>, Error> {
        let sql = sql(self.snapshot.engine(), source, self.search.author.is_some(), direction);
        let mut rows = if source == Source::Author {
            self.author_posts(&sql, bounds, window).await?
        } else {
            let lookups = if source == Source::Matches { LOOKUPS_PER_MATCH } else { 1 };
            let mut values = vec![self.expression.clone().into()];
            values.extend(self.values(bounds, window));
            let rows: Vec<Looked> = self.snapshot.all(window * lookups, &sql, values).await?;
            let total = rows.first().map_or(0, |row| row.total);
            let total = usize::try_from(total).unwrap_or_default();
            self.snapshot.charge_read(total.saturating_sub(rows.len()));
            rows
        };
        rows.sort_unstable_by_key(|row| match direction {
            Direction::Forward => -row.id,
            Direction::Backward => row.id,
        });
        Ok(rows)
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
