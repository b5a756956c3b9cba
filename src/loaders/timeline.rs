//! Loader of home timelines, by fan-out on read.
//!
//! It needs one or two statements for any number of owners.
//!
//! [`merge_heads`] is a k-way merge of the owner's posts and those of each followed user. The
//! newest k posts come from at most k of these sources, and these sources are among the k whose
//! newest posts, the heads, are newest. One index probe per source finds the heads. Only the posts
//! of the newest k sources are read: at most k of each, and none older than the oldest of the k
//! heads. The merge handles ids only; the k results are joined to their rows last.
//!
//! [`scan_recent`] comes first for owners that follow many users: the newest posts of all authors
//! most often include k from the owner's sources. It scans a bounded number of posts. If it finds
//! k, these are exactly the newest k. Otherwise the second statement is a merge.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entity::{post, user};
use sea_orm::{FromQueryResult, QueryResult};

use super::{Batch, PageKey, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::ids::snowflake;
use crate::pagination::{Direction, Page, PageRequest};

/// Minimum number of followed users for a scan before the merge.
///
/// With fewer, a scan seldom fills a page. See "Timeline statement" in docs/performance/results.md.
pub const SCAN_MIN_FOLLOWING: i32 = 1_500;

/// Maximum number of posts that [`scan_recent`] reads for a page.
pub const SCAN_WINDOW: u32 = 2_000;

/// A page of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimelineKey {
    pub page: PageKey,
    /// Number of users that the owner follows.
    pub following: i32,
}

impl TimelineKey {
    /// Number of rows that a merge looks up at most.
    ///
    /// It looks up the newest post of each source, and then a page of each of the newest sources.
    fn merged_rows(&self) -> usize {
        let (heads, page) = (sources(self.following), self.page.page.rows());
        heads + heads.min(page) * page
    }

    /// Number of rows that are looked up beside the scan or the heads.
    ///
    /// For each cursor, all sources may be searched for a post beyond it.
    fn rows_beyond(&self) -> usize {
        self.page.page.rows() + self.page.page.cursors() * sources(self.following)
    }
}

/// Number of sources of a timeline whose owner follows `following` users.
fn sources(following: i32) -> usize {
    usize::try_from(following).unwrap_or_default() + 1
}

/// Pages of home timelines.
pub struct Timelines {
    db: Snapshot,
    /// Maximum number of posts that a scan reads.
    window: u32,
}

/// An entry of a timeline: a post with its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineRow {
    /// Id of the user that the timeline belongs to.
    pub owner: i64,
    pub post: post::Model,
    pub author: user::UserSummary,
}

impl FromQueryResult for TimelineRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        const NEXT: usize = user::UserSummary::COLUMNS;
        let author = user::UserSummary::from_query_result(row, prefix)?;
        let id = row.try_get_by_index(NEXT + 1)?;
        let post = post::Model {
            id,
            author_id: author.id,
            body: row.try_get_by_index(NEXT + 2)?,
            created_at: snowflake::timestamp_of(id),
            edited_at: row.try_get_by_index(NEXT + 3)?,
        };
        Ok(Self { owner: row.try_get_by_index(NEXT)?, post, author })
    }
}

impl Timelines {
    /// A loader whose scans read at most `window` posts.
    pub fn new(db: Snapshot, window: u32) -> Self {
        Self { db, window }
    }

    /// Loads pages with a statement that looks up the number of rows in `keys`.
    async fn pages(
        &self,
        keys: HashMap<&PageKey, usize>,
        sql: impl Fn(Engine, Direction) -> String,
    ) -> Result<HashMap<PageKey, Arc<Page<TimelineRow>>>, Error> {
        let new_page = |request: &PageRequest<i64>, rows| {
            Arc::new(Page::new(request, rows, |row: &TimelineRow| row.post.id))
        };
        let (rows, keys) = (|key: &PageKey| keys[key], keys.keys().copied().cloned());
        pages(&self.db, &keys.collect::<Vec<_>>(), sql, new_page, |row| row.owner, rows).await
    }
}

impl Batch for Timelines {
    type Key = TimelineKey;
    type Value = Arc<Page<TimelineRow>>;

    async fn load(&self, keys: &[TimelineKey]) -> Result<HashMap<TimelineKey, Self::Value>, Error> {
        let scanned = keys.iter().filter(|key| key.following >= SCAN_MIN_FOLLOWING);
        let scanned = scanned.map(|key| (&key.page, self.window as usize + key.rows_beyond()));
        let scan = |engine, direction| scan_recent(engine, direction, self.window);
        let mut pages = self.pages(scanned.collect(), scan).await?;
        pages.retain(|key, page| page.is_known_to_be_full(&key.page));
        let merged = keys.iter().filter(|key| !pages.contains_key(&key.page));
        let merged = merged.map(|key| (&key.page, key.merged_rows() + key.rows_beyond()));
        pages.extend(self.pages(merged.collect(), merge_heads).await?);
        let page = |key: &TimelineKey| Some((key.clone(), pages.get(&key.page).cloned()?));
        Ok(keys.iter().filter_map(page).collect())
    }
}

/// The key of a count of the timeline entries that are newer than a post.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewerCountKey {
    /// Id of the user that the timeline belongs to.
    pub owner: i64,
    /// Number of users that the owner follows.
    pub following: i32,
    /// Id of the post. Newer posts have greater ids.
    pub than: i64,
    /// Number at which counting stops.
    pub cap: i32,
}

/// Counts of the timeline entries that are newer than a post, up to a cap.
pub struct NewerCounts(pub(super) Snapshot);

#[derive(FromQueryResult)]
struct NewerCountRow {
    /// Index of the key in the list of keys.
    #[sea_orm(from_alias = "place")]
    index: i64,
    count: i64,
}

impl Batch for NewerCounts {
    type Key = NewerCountKey;
    type Value = i32;

    async fn load(&self, keys: &[NewerCountKey]) -> Result<HashMap<NewerCountKey, i32>, Error> {
        let mut counts = HashMap::with_capacity(keys.len());
        let caps: HashSet<i32> = keys.iter().map(|key| key.cap).collect();
        let sql = newer_count_sql(self.0.engine());
        for cap in caps {
            let keys: Vec<&NewerCountKey> = keys.iter().filter(|key| key.cap == cap).collect();
            let pairs: serde_json::Value =
                keys.iter().map(|key| vec![key.owner, key.than]).collect();
            let values = [pairs.to_string().into(), cap.into()];
            let cap = usize::try_from(cap).unwrap_or_default();
            let rows = keys.iter().map(|key| sources(key.following) + cap).sum();
            for row in self.0.all::<NewerCountRow, _>(rows, &sql, values).await? {
                let key = usize::try_from(row.index).ok().and_then(|index| keys.get(index));
                let count = i32::try_from(row.count).unwrap_or(i32::MAX);
                counts.extend(key.map(|key| ((*key).clone(), count)));
            }
        }
        Ok(counts)
    }
}

/// The statement that counts newer entries, with one index probe per source.
///
/// `$1` is a JSON list of pairs of an owner and a post. At most `$2` entries are counted per pair.
fn newer_count_sql(engine: Engine) -> String {
    let sources = SOURCES.replace("owner.value", "CAST(newer.value ->> 0 AS bigint)");
    let (than, newest) = ("CAST(newer.value ->> 1 AS bigint)", i64::MAX);
    let posts = match engine {
        Engine::Sqlite => {
            format!("{sources} CROSS JOIN post WHERE author_id = source.author AND id > {than}")
        }
        Engine::Postgres => format!(
            "{sources} CROSS JOIN LATERAL (SELECT id FROM post \
             WHERE (author_id, id) > (source.author, {than}) \
             AND (author_id, id) < (source.author, {newest}) \
             ORDER BY author_id, id LIMIT $2) AS post"
        ),
    };
    format!(
        "SELECT newer.key AS place, \
           (SELECT count(*) FROM (SELECT 1 FROM {posts} LIMIT $2) AS found) AS count \
         FROM {}",
        engine.unnest_json("newer")
    )
}

/// Reads posts with their authors by id, in one statement. Their `owner` is 0.
///
/// # Errors
/// Any error of the database.
pub async fn timeline_rows(
    snapshot: &Snapshot,
    posts: &[i64],
) -> Result<HashMap<i64, TimelineRow>, Error> {
    if posts.is_empty() {
        return Ok(HashMap::new());
    }
    let (engine, summary) = (snapshot.engine(), user::SUMMARY_COLUMNS);
    let sql = format!(
        "SELECT {summary}, CAST(0 AS bigint) AS owner, {COLUMNS} \
         FROM post JOIN \"user\" ON \"user\".id = post.author_id WHERE {}",
        engine.in_list_sql("post.id", 1)
    );
    let rows: Vec<TimelineRow> =
        snapshot.all(posts.len(), &sql, [engine.bind_ids(posts.iter().copied())]).await?;
    Ok(rows.into_iter().map(|row| (row.post.id, row)).collect())
}

/// The statement of the k-way merge.
///
/// Its parameters are the owners (`$1`), the two [`PageRequest::bounds`] (`$2`, `$3`) and the
/// [`PageRequest::limit`] (`$4`). Its last parts look for one post on the far side of each cursor.
/// Without a cursor their condition is constantly false, and nothing is read.
pub fn merge_heads(engine: Engine, direction: Direction) -> String {
    match engine {
        Engine::Sqlite => sqlite_rows(&sqlite_merge(direction)),
        Engine::Postgres => postgres_rows(&postgres_merge(direction)),
    }
}

/// The statement of the scan of at most `window` posts.
///
/// It has the parameters of [`merge_heads`]. Its page may be incomplete if it has fewer rows than
/// the limit.
pub fn scan_recent(engine: Engine, direction: Direction, window: u32) -> String {
    let order = order(direction);
    let recent = format!(
        "(SELECT author_id AS author, id FROM post WHERE id < $2 AND id > $3 \
         ORDER BY id {order} LIMIT {window}) AS recent \
         WHERE author = owner.value OR (SELECT true FROM follow \
           WHERE follower_id = owner.value AND followed_id = author)"
    );
    match engine {
        // The rows come in the order of the scan. With ORDER BY, SQLite would always scan to the
        // end.
        Engine::Sqlite => sqlite_rows(&format!("SELECT id FROM {recent} LIMIT $4")),
        Engine::Postgres => {
            postgres_rows(&format!("SELECT author, id FROM {recent} ORDER BY id {order} LIMIT $4"))
        }
    }
}

/// The SQL order in which a page is read.
fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    }
}

/// The columns of a post beyond those of its author.
///
/// The time of creation is part of the id.
const COLUMNS: &str = "post.id AS post_id, post.body, post.edited_at";

/// The statement for the rows of a page on SQLite, whose post ids `page` selects.
///
/// It adds the nearest rows beyond the cursors.
fn sqlite_rows(page: &str) -> String {
    let newest = i64::MAX;
    let summary = user::SUMMARY_COLUMNS;
    format!(
        "SELECT {summary}, owner.value AS owner, {COLUMNS} \
         FROM json_each($1) AS owner CROSS JOIN post CROSS JOIN \"user\" \
         WHERE \"user\".id = post.author_id AND post.id IN ( \
           SELECT id FROM ({page}) AS page \
           UNION ALL SELECT id FROM (SELECT id FROM post \
             WHERE $2 < {newest} AND author_id = owner.value AND id >= $2 LIMIT 1) AS own_newer \
           UNION ALL SELECT id FROM (SELECT beyond.id FROM follow CROSS JOIN post AS beyond \
             WHERE $2 < {newest} AND follower_id = owner.value \
             AND beyond.author_id = followed_id AND beyond.id >= $2 LIMIT 1) AS newer \
           UNION ALL SELECT id FROM (SELECT id FROM post \
             WHERE $3 > 0 AND author_id = owner.value AND id <= $3 LIMIT 1) AS own_older \
           UNION ALL SELECT id FROM (SELECT beyond.id FROM follow CROSS JOIN post AS beyond \
             WHERE $3 > 0 AND follower_id = owner.value \
             AND beyond.author_id = followed_id AND beyond.id <= $3 LIMIT 1) AS older)"
    )
}

/// The merge on SQLite, which has no LATERAL.
///
/// A correlated `max` or `min` is its fastest index probe, and `INDEXED BY` keeps the merge from
/// reading the table.
fn sqlite_merge(direction: Direction) -> String {
    let order = order(direction);
    let (best, worst, inside, unbounded) = match direction {
        Direction::Forward => ("max", "min", ">=", "$3"),
        Direction::Backward => ("min", "max", "<=", "$2"),
    };
    format!(
        "WITH probe (author, best) AS MATERIALIZED ( \
           SELECT owner.value, (SELECT {best}(id) FROM post \
             WHERE author_id = owner.value AND id < $2 AND id > $3) \
           UNION ALL SELECT followed_id, (SELECT {best}(id) FROM post \
             WHERE author_id = followed_id AND id < $2 AND id > $3) \
           FROM follow WHERE follower_id = owner.value), \
         head (author, bound) AS ( \
           SELECT author, CASE WHEN count(best) OVER () = $4 \
             THEN {worst}(best) OVER () ELSE {unbounded} END \
           FROM (SELECT * FROM probe ORDER BY best {order} NULLS LAST LIMIT $4) AS nearest) \
         SELECT page.id FROM head CROSS JOIN post AS page INDEXED BY post_author \
         WHERE page.author_id = head.author AND page.id IN ( \
           SELECT id FROM post WHERE author_id = head.author \
           AND id < $2 AND id > $3 AND id {inside} head.bound \
           ORDER BY id {order} LIMIT $4) \
         ORDER BY page.id {order} LIMIT $4"
    )
}

/// The authors whose posts a timeline shows: the owner and all followed users.
const SOURCES: &str = "(SELECT owner.value AS author \
    UNION ALL SELECT followed_id FROM follow WHERE follower_id = owner.value) AS source";

/// The statement for the rows of a page on PostgreSQL.
///
/// `page` selects their authors and ids. The statement adds the nearest rows beyond the cursors.
///
/// Probes compare pairs, which only the index `post_author` can order. Given `author_id =` and
/// `ORDER BY id`, the planner reads the posts of all authors by id if few authors have posts: it
/// expects to find a match soon, and a source without posts has none.
fn postgres_rows(page: &str) -> String {
    let newest = i64::MAX;
    let summary = user::SUMMARY_COLUMNS;
    format!(
        "SELECT {summary}, owner.value AS owner, {COLUMNS} \
         FROM unnest($1::bigint[]) AS owner (value) CROSS JOIN LATERAL ( \
           SELECT author, id FROM ({page}) AS page \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {SOURCES} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE (author_id, id) >= (source.author, $2) \
               AND (author_id, id) < (source.author, {newest}) \
               ORDER BY author_id, id LIMIT 1) AS beyond \
             WHERE $2 < {newest} LIMIT 1) AS newer \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {SOURCES} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE (author_id, id) <= (source.author, $3) \
               AND (author_id, id) > (source.author, 0) \
               ORDER BY author_id DESC, id DESC LIMIT 1) AS beyond \
             WHERE $3 > 0 LIMIT 1) AS older \
         ) AS entry JOIN post ON post.author_id = entry.author AND post.id = entry.id \
         JOIN \"user\" ON \"user\".id = entry.author"
    )
}

/// The merge on PostgreSQL, with one LATERAL index probe per source.
fn postgres_merge(direction: Direction) -> String {
    let order = order(direction);
    let (worst, inside, unbounded) = match direction {
        Direction::Forward => ("min", ">=", "$3"),
        Direction::Backward => ("max", "<=", "$2"),
    };
    format!(
        "WITH head AS MATERIALIZED ( \
           SELECT source.author, nearest.id AS best FROM {SOURCES} \
           CROSS JOIN LATERAL (SELECT id FROM post \
             WHERE (author_id, id) < (source.author, $2) \
             AND (author_id, id) > (source.author, $3) \
             ORDER BY author_id {order}, id {order} LIMIT 1) AS nearest \
           ORDER BY nearest.id {order} LIMIT $4) \
         SELECT head.author, page.id FROM head CROSS JOIN LATERAL (SELECT id FROM post \
           WHERE author_id = head.author AND id < $2 AND id > $3 \
           AND (author_id, id) < (head.author, $2) AND (author_id, id) > (head.author, $3) \
           AND id {inside} ( \
             SELECT CASE WHEN count(*) = $4 THEN {worst}(best) ELSE {unbounded} END FROM head) \
           ORDER BY id {order} LIMIT $4) AS page \
         ORDER BY page.id {order} LIMIT $4"
    )
}
