//! Loader of home timelines, by fan-out on read.
//!
//! It needs one or two statements for any number of owners.
//!
//! [`merge_heads`] is a k-way merge of the owner's feed items and those of each followed user. The
//! newest k items come from at most k of these sources, and these sources are among the k whose
//! newest items, the heads, are newest. One index probe per source finds the heads. Only the items
//! of the newest k sources are read: at most k of each, and none older than the oldest of the k
//! heads. The merge handles ids only; the k results are joined to their rows last.
//!
//! [`scan_recent`] comes first for owners that follow many users: the newest items of all users
//! most often include k from the owner's sources. It scans a bounded number of items. If it finds
//! k, these are exactly the newest k. Otherwise the second statement is a merge.

use std::collections::HashMap;
use std::sync::Arc;

use entity::{feed_item, post, user};
use sea_orm::{FromQueryResult, QueryResult};

use super::timeline_filter::{ItemFilter, TimelineFilter};
use super::timeline_sql::{COLUMNS, merge_heads, newer_count, scan_recent};
use super::{Batch, PageKey, ViewerId, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::ids::snowflake;
use crate::pagination::{Direction, Page, PageRequest};

/// Minimum number of followed users for a scan before the merge.
///
/// With fewer, a scan seldom fills a page. See "Timeline statement" in docs/performance/results.md.
pub const SCAN_MIN_FOLLOWING: i32 = 1_500;

/// Maximum number of feed items that [`scan_recent`] reads for a page.
pub const SCAN_WINDOW: u32 = 2_000;

/// A page of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimelineKey {
    pub page: PageKey,
    pub timeline: Timeline,
}

/// The properties of a timeline that decide how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeline {
    /// Id of the user that the timeline belongs to.
    pub owner: i64,
    /// Number of users that the owner follows.
    pub following: i32,
    /// Whether the owner mutes users, who are left out.
    pub has_mutes: bool,
    /// What the client leaves out.
    pub filter: TimelineFilter,
}

impl Timeline {
    /// The filter of its items for the viewer.
    fn items(&self, viewer: &ViewerId) -> ItemFilter {
        let viewer = viewer.get().unwrap_or_default();
        let is_other = viewer != self.owner;
        ItemFilter {
            requested: self.filter,
            without_muted: self.has_mutes,
            viewer: is_other.then_some(viewer),
        }
    }

    /// Number of sources: the owner, and the followed users.
    fn sources(&self) -> usize {
        usize::try_from(self.following).unwrap_or_default() + 1
    }
}

impl TimelineKey {
    /// Number of rows that a merge looks up at most.
    ///
    /// It looks up the newest item of each source, and then a page of each of the newest sources.
    fn merged_rows(&self, filter: ItemFilter) -> usize {
        let (heads, page) = (self.timeline.sources(), self.page.page.rows());
        heads * filter.lookups() + heads.min(page) * page
    }

    /// Number of rows that are looked up beside the scan or the heads.
    ///
    /// For each cursor, all sources may be searched for an item beyond it.
    fn rows_beyond(&self, filter: ItemFilter) -> usize {
        let sources = self.timeline.sources() * filter.lookups();
        self.page.page.rows() + self.page.page.cursors() * sources
    }
}

/// Pages of home timelines, without posts that the viewer may not see.
pub struct Timelines {
    db: Snapshot,
    viewer: ViewerId,
    /// Maximum number of feed items that a scan reads.
    window: u32,
}

/// An entry of a timeline: a feed item with its post and the post's author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineRow {
    /// Id of the user that the timeline belongs to.
    pub owner: i64,
    /// Id of the feed item, which is the post's unless it is a repost.
    pub item: i64,
    pub kind: feed_item::Kind,
    /// The author of the post, or the user who reposted it.
    pub actor: i64,
    pub post: post::Model,
    pub author: user::UserSummary,
}

impl FromQueryResult for TimelineRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        const NEXT: usize = user::UserSummary::COLUMNS;
        let author = user::UserSummary::from_query_result(row, prefix)?;
        let id = row.try_get_by_index(NEXT + 4)?;
        let post = post::Model {
            id,
            author_id: author.id,
            body: row.try_get_by_index(NEXT + 5)?,
            created_at: snowflake::timestamp_of(id),
            edited_at: row.try_get_by_index(NEXT + 6)?,
            is_public: !author.is_protected,
            in_reply_to_id: row.try_get_by_index(NEXT + 7)?,
            likes_count: row.try_get_by_index(NEXT + 8)?,
            replies_count: row.try_get_by_index(NEXT + 9)?,
            reposts_count: row.try_get_by_index(NEXT + 10)?,
        };
        Ok(Self {
            owner: row.try_get_by_index(NEXT)?,
            item: row.try_get_by_index(NEXT + 1)?,
            kind: row.try_get_by_index(NEXT + 2)?,
            actor: row.try_get_by_index(NEXT + 3)?,
            post,
            author,
        })
    }
}

impl Timelines {
    /// A loader for the viewer whose scans read at most `window` items.
    pub fn new(db: Snapshot, viewer: ViewerId, window: u32) -> Self {
        Self { db, viewer, window }
    }

    /// Loads the pages of `keys`, which have the same filter.
    ///
    /// A scan that does not fill a page is followed by a merge.
    async fn load_filtered(
        &self,
        filter: ItemFilter,
        keys: &[&TimelineKey],
    ) -> Result<HashMap<PageKey, Arc<Page<TimelineRow>>>, Error> {
        let scanned = keys.iter().filter(|key| key.timeline.following >= SCAN_MIN_FOLLOWING);
        let scanned = scanned.map(|key| {
            (&key.page, self.window as usize * filter.lookups() + key.rows_beyond(filter))
        });
        let scan = |engine, direction| scan_recent(engine, filter, direction, self.window);
        let mut pages = self.pages(filter, scanned.collect(), scan).await?;
        pages.retain(|key, page| page.is_known_to_be_full(&key.page));
        let merged = keys.iter().filter(|key| !pages.contains_key(&key.page));
        let merged =
            merged.map(|key| (&key.page, key.merged_rows(filter) + key.rows_beyond(filter)));
        let merge = |engine, direction| merge_heads(engine, filter, direction);
        pages.extend(self.pages(filter, merged.collect(), merge).await?);
        Ok(pages)
    }

    /// Loads pages with a statement that looks up the number of rows in `keys`.
    async fn pages(
        &self,
        filter: ItemFilter,
        keys: HashMap<&PageKey, usize>,
        sql: impl Fn(Engine, Direction) -> String,
    ) -> Result<HashMap<PageKey, Arc<Page<TimelineRow>>>, Error> {
        let new_page = |request: &PageRequest<i64>, rows| {
            Arc::new(Page::new(request, rows, |row: &TimelineRow| row.item))
        };
        let (rows, keys) = (|key: &PageKey| keys[key], keys.keys().copied().cloned());
        let keys = keys.collect::<Vec<_>>();
        let values = filter.values();
        pages(&self.db, &keys, (sql, &values), new_page, |row| row.owner, rows).await
    }
}

impl Batch for Timelines {
    type Key = TimelineKey;
    type Value = Arc<Page<TimelineRow>>;

    async fn load(&self, keys: &[TimelineKey]) -> Result<HashMap<TimelineKey, Self::Value>, Error> {
        let mut by_filter: HashMap<ItemFilter, Vec<&TimelineKey>> = HashMap::new();
        for key in keys {
            let filter = key.timeline.items(&self.viewer);
            by_filter.entry(filter).or_default().push(key);
        }
        let mut found = HashMap::with_capacity(keys.len());
        for (filter, keys) in by_filter {
            let pages = self.load_filtered(filter, &keys).await?;
            let page = |key: &TimelineKey| Some((key.clone(), pages.get(&key.page).cloned()?));
            found.extend(keys.into_iter().filter_map(page));
        }
        Ok(found)
    }
}

/// The key of a count of the timeline entries that are newer than a feed item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewerCountKey {
    pub timeline: Timeline,
    /// Id of the item. Newer items have greater ids.
    pub than: i64,
    /// Number at which counting stops.
    pub cap: i32,
}

/// Counts of the timeline entries that are newer than a feed item, up to a cap.
///
/// Posts that the viewer may not see are not counted.
pub struct NewerCounts {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

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
        let mut groups: HashMap<_, Vec<&NewerCountKey>> = HashMap::new();
        for key in keys {
            let filter = key.timeline.items(&self.viewer);
            groups.entry((key.cap, filter)).or_default().push(key);
        }
        for ((cap, filter), keys) in groups {
            let pairs: serde_json::Value =
                keys.iter().map(|key| vec![key.timeline.owner, key.than]).collect();
            let mut values = vec![pairs.to_string().into(), cap.into()];
            values.extend(filter.values());
            let sql = newer_count(self.db.engine(), filter);
            let cap = usize::try_from(cap).unwrap_or_default();
            let rows = keys.iter().map(|key| key.timeline.sources() * filter.lookups() + cap).sum();
            for row in self.db.all::<NewerCountRow, _>(rows, &sql, values).await? {
                let key = usize::try_from(row.index).ok().and_then(|index| keys.get(index));
                let count = i32::try_from(row.count).unwrap_or(i32::MAX);
                counts.extend(key.map(|key| ((*key).clone(), count)));
            }
        }
        Ok(counts)
    }
}

/// Reads feed items with their posts by id, in one statement. Their `owner` is 0.
///
/// The item of a post has the post's id. For events, which check at their delivery whether the
/// subscriber may see the post.
///
/// # Errors
/// Any error of the database.
pub async fn timeline_rows(
    snapshot: &Snapshot,
    items: &[i64],
) -> Result<HashMap<i64, TimelineRow>, Error> {
    if items.is_empty() {
        return Ok(HashMap::new());
    }
    let (engine, summary) = (snapshot.engine(), user::SUMMARY_COLUMNS);
    let sql = format!(
        "SELECT {summary}, CAST(0 AS bigint) AS owner, {COLUMNS} \
         FROM feed_item AS item JOIN post ON post.id = item.post_id \
         JOIN \"user\" ON \"user\".id = post.author_id WHERE {}",
        engine.in_list_sql("item.id", 1)
    );
    let rows: Vec<TimelineRow> =
        snapshot.all(2 * items.len(), &sql, [engine.bind_ids(items.iter().copied())]).await?;
    Ok(rows.into_iter().map(|row| (row.item, row)).collect())
}
