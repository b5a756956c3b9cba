//! The home timeline: own posts and posts of followed users, computed when it is read, in one
//! statement for any number of owners, or two.
//!
//! Merge: the newest k posts come from at most k authors, and each of those is among the k sources whose
//! newest post is newest: the heads. So one index probe per source finds the heads, and only the
//! heads' posts are read, at most k each, none older than the oldest head when there are k of them.
//! Ids alone go through the merge; the k winners are joined to their rows last.
//!
//! Walk: whoever follows many most often finds k of their posts among the newest of all. So they first go down
//! those, a bounded number of them; when k are found, they are the newest k, and otherwise there is a
//! merge after all, in a second statement.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entity::{post, user};
use sea_orm::{FromQueryResult, QueryResult};

use super::{Batch, PageOf, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::key;
use crate::page::{Direction, Page, Slice};

/// Owners who follow as many as this walk before they merge. Measured: with fewer, a walk seldom finds enough
/// (docs/performance.md).
pub const MANY: i32 = 1_500;

/// How many posts a walk looks at.
pub const WINDOW: u32 = 2_000;

/// A page of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimelineOf {
    pub page: PageOf,
    /// The owner follows [`MANY`].
    pub follows_many: bool,
}

pub struct Timelines {
    db: Snapshot,
    window: u32,
}

/// A post in somebody's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The user whose timeline this is.
    pub owner: i64,
    pub post: post::Model,
    pub author: user::Card,
}

impl FromQueryResult for Entry {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        const NEXT: usize = user::Card::COLUMNS;
        let author = user::Card::from_query_result(row, prefix)?;
        let id = row.try_get_by_index(NEXT + 1)?;
        let post = post::Model {
            id,
            author_id: author.id,
            body: row.try_get_by_index(NEXT + 2)?,
            created_at: key::time_of(id),
            edited_at: row.try_get_by_index(NEXT + 3)?,
        };
        Ok(Self { owner: row.try_get_by_index(NEXT)?, post, author })
    }
}

impl Timelines {
    /// With a `window` of posts for walks.
    pub fn new(db: Snapshot, window: u32) -> Self {
        Self { db, window }
    }

    async fn pages(
        &self,
        keys: &[PageOf],
        sql: impl Fn(Engine, Direction) -> String,
    ) -> Result<HashMap<PageOf, Arc<Slice<Entry>>>, Error> {
        let slice = |page: &Page<i64>, entries| {
            Arc::new(Slice::new(page, entries, |entry: &Entry| entry.post.id))
        };
        pages(&self.db, keys, sql, slice, |entry| entry.owner).await
    }
}

impl Batch for Timelines {
    type Key = TimelineOf;
    type Value = Arc<Slice<Entry>>;

    async fn load(&self, keys: &[TimelineOf]) -> Result<HashMap<TimelineOf, Self::Value>, Error> {
        let walkers = keys.iter().filter(|key| key.follows_many);
        let walkers: Vec<PageOf> = walkers.map(|key| key.page.clone()).collect();
        let walk = |engine, direction| walk(engine, direction, self.window);
        let mut found = self.pages(&walkers, walk).await?;
        found.retain(|key, slice| slice.is_known_to_be_full(&key.page));
        let rest = keys.iter().map(|key| &key.page).filter(|page| !found.contains_key(page));
        let rest: HashSet<&PageOf> = rest.collect();
        let rest: Vec<PageOf> = rest.into_iter().cloned().collect();
        found.extend(self.pages(&rest, merge).await?);
        let page = |key: &TimelineOf| Some((key.clone(), found.get(&key.page).cloned()?));
        Ok(keys.iter().filter_map(page).collect())
    }
}

/// The entries of a timeline that are newer than a post.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewerThan {
    pub owner: i64,
    pub than: i64,
    /// Where counting stops.
    pub cap: i32,
}

/// How many those are.
pub struct Newer(pub(super) Snapshot);

#[derive(FromQueryResult)]
struct Counted {
    place: i64,
    count: i64,
}

impl Batch for Newer {
    type Key = NewerThan;
    type Value = i32;

    async fn load(&self, keys: &[NewerThan]) -> Result<HashMap<NewerThan, i32>, Error> {
        let mut found = HashMap::with_capacity(keys.len());
        let caps: HashSet<i32> = keys.iter().map(|key| key.cap).collect();
        for cap in caps {
            let keys: Vec<&NewerThan> = keys.iter().filter(|key| key.cap == cap).collect();
            let places: serde_json::Value =
                keys.iter().map(|key| vec![key.owner, key.than]).collect();
            let values = [places.to_string().into(), cap.into()];
            for row in self.0.all::<Counted, _>(&newer(self.0.engine()), values).await? {
                let key = usize::try_from(row.place).ok().and_then(|place| keys.get(place));
                let count = i32::try_from(row.count).unwrap_or(i32::MAX);
                found.extend(key.map(|key| ((*key).clone(), count)));
            }
        }
        Ok(found)
    }
}

/// For each owner and post in the list `$1`, one probe for each source, until there are `$2`.
fn newer(engine: Engine) -> String {
    let sources = SOURCES.replace("owner.value", "CAST(newer.value ->> 0 AS bigint)");
    let than = "CAST(newer.value ->> 1 AS bigint)";
    let posts = match engine {
        Engine::Sqlite => {
            format!("{sources} CROSS JOIN post WHERE author_id = source.author AND id > {than}")
        }
        Engine::Postgres => format!(
            "{sources} CROSS JOIN LATERAL (SELECT id FROM post \
             WHERE author_id = source.author AND id > {than} LIMIT $2) AS post"
        ),
    };
    format!(
        "SELECT newer.key AS place, \
           (SELECT count(*) FROM (SELECT 1 FROM {posts} LIMIT $2) AS found) AS count \
         FROM {}",
        engine.each_element("newer")
    )
}

/// These posts as entries, by their ids; of a timeline that is nobody's.
///
/// # Errors
/// As the database says.
pub async fn entries(snapshot: &Snapshot, posts: &[i64]) -> Result<HashMap<i64, Entry>, Error> {
    if posts.is_empty() {
        return Ok(HashMap::new());
    }
    let (engine, card) = (snapshot.engine(), user::CARD);
    let sql = format!(
        "SELECT {card}, CAST(0 AS bigint) AS owner, {COLUMNS} \
         FROM post JOIN \"user\" ON \"user\".id = post.author_id WHERE {}",
        engine.is_in("post.id", 1)
    );
    let rows: Vec<Entry> = snapshot.all(&sql, [engine.keys(posts.iter().copied())]).await?;
    Ok(rows.into_iter().map(|entry| (entry.post.id, entry)).collect())
}

/// The merge, of four parameters: the owners, the [`Page::bounds`] and the [`Page::limit`].
///
/// The last parts look for one post on the far side of each cursor; without a cursor their
/// condition is false before anything is looked at.
pub fn merge(engine: Engine, direction: Direction) -> String {
    match engine {
        Engine::Sqlite => sqlite(&sqlite_merge(direction)),
        Engine::Postgres => postgres(&postgres_merge(direction)),
    }
}

/// The walk down at most `window` posts, of the same parameters. Shows less than there is when fewer than the
/// limit are found.
pub fn walk(engine: Engine, direction: Direction, window: u32) -> String {
    let order = order(direction);
    let recent = format!(
        "(SELECT author_id AS author, id FROM post WHERE id < $2 AND id > $3 \
         ORDER BY id {order} LIMIT {window}) AS recent \
         WHERE author = owner.value OR (SELECT true FROM follow \
           WHERE follower_id = owner.value AND followed_id = author)"
    );
    match engine {
        // In the order of what it walks down; told to sort, the engine would walk to the end each time.
        Engine::Sqlite => sqlite(&format!("SELECT id FROM {recent} LIMIT $4")),
        Engine::Postgres => {
            postgres(&format!("SELECT author, id FROM {recent} ORDER BY id {order} LIMIT $4"))
        }
    }
}

fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    }
}

/// Of the post; its author's id is the author's, and its moment is in its id.
const COLUMNS: &str = "post.id AS post_id, post.body, post.edited_at";

/// The entries whose posts' ids `page` selects, and the nearest beyond.
fn sqlite(page: &str) -> String {
    let newest = i64::MAX;
    let card = user::CARD;
    format!(
        "SELECT {card}, owner.value AS owner, {COLUMNS} \
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

/// `INDEXED BY` keeps the merge off the table; a correlated `max` is what this engine does best.
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

const SOURCES: &str = "(SELECT owner.value AS author \
    UNION ALL SELECT followed_id FROM follow WHERE follower_id = owner.value) AS source";

/// The same; the author goes along with the id.
fn postgres(page: &str) -> String {
    let newest = i64::MAX;
    let card = user::CARD;
    format!(
        "SELECT {card}, owner.value AS owner, {COLUMNS} \
         FROM unnest($1::bigint[]) AS owner (value) CROSS JOIN LATERAL ( \
           SELECT author, id FROM ({page}) AS page \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {SOURCES} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE author_id = source.author AND id >= $2 LIMIT 1) AS beyond \
             WHERE $2 < {newest} LIMIT 1) AS newer \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {SOURCES} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE author_id = source.author AND id <= $3 LIMIT 1) AS beyond \
             WHERE $3 > 0 LIMIT 1) AS older \
         ) AS entry JOIN post ON post.author_id = entry.author AND post.id = entry.id \
         JOIN \"user\" ON \"user\".id = entry.author"
    )
}

/// One probe for each source, as LATERAL.
fn postgres_merge(direction: Direction) -> String {
    let order = order(direction);
    let (worst, inside, unbounded) = match direction {
        Direction::Forward => ("min", ">=", "$3"),
        Direction::Backward => ("max", "<=", "$2"),
    };
    format!(
        "WITH head AS MATERIALIZED ( \
           SELECT source.author, nearest.id AS best FROM {SOURCES} \
           CROSS JOIN LATERAL (SELECT id FROM post WHERE author_id = source.author \
             AND id < $2 AND id > $3 ORDER BY id {order} LIMIT 1) AS nearest \
           ORDER BY nearest.id {order} LIMIT $4) \
         SELECT head.author, page.id FROM head CROSS JOIN LATERAL (SELECT id FROM post \
           WHERE author_id = head.author AND id < $2 AND id > $3 AND id {inside} ( \
             SELECT CASE WHEN count(*) = $4 THEN {worst}(best) ELSE {unbounded} END FROM head) \
           ORDER BY id {order} LIMIT $4) AS page \
         ORDER BY page.id {order} LIMIT $4"
    )
}
