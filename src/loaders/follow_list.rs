//! Loaders of filtered or reordered lists of follows: pages and counts.
//!
//! Each has one statement for all owners with the same filter, and before it one that finds the
//! smallest side, if there is a choice.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use sea_orm::{FromQueryResult, Value};

use super::follow_filter::{FollowFilter, FollowList, Side};
use super::{Batch, ListedUser, ViewerId};
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{CursorKey, Page, PageRequest};

/// Number of users with a prefix at which their counting stops.
///
/// A prefix of more users is never the smallest side.
const MAX_PREFIX_SIDE: i64 = 1_000;
/// Maximum number of rows of the list that a page is expected to walk.
const MAX_WALK: usize = 50_000;
/// Look-ups for a row of a side: the row, the follow of the pair, a condition.
const LOOKUPS: usize = 3;

/// A filtered list of one owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilteredList {
    pub owner: i64,
    pub list: FollowList,
    /// Number of entries without the filter.
    pub length: i32,
    /// Number of entries of the owner's opposite list.
    pub opposite_length: i32,
}

/// The part of a list that is requested, in one of its two orders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FollowPage {
    /// The newest follow first.
    ByTime(PageRequest<i64>),
    /// By username in lower case, from a to z.
    ByName(PageRequest<String>),
}

/// Pages of filtered lists, by list and requested part.
pub struct FollowPages {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

/// Lengths of filtered lists.
pub struct FollowCounts {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for FollowPages {
    type Key = (FilteredList, FollowPage);
    type Value = Arc<Page<ListedUser>>;

    async fn load(&self, keys: &[Self::Key]) -> Result<HashMap<Self::Key, Self::Value>, Error> {
        let mut pages = HashMap::with_capacity(keys.len());
        for ((list, page), owners) in group(keys, |(list, page)| (list.list.clone(), page.clone()))
        {
            let owners = owners.into_iter().map(|(list, _)| list).collect::<Vec<_>>();
            let found = match &page {
                FollowPage::ByTime(request) => {
                    let position = |row: &ListedUser| row.entry_id;
                    self.pages(&list, &owners, (request, false), position).await?
                }
                FollowPage::ByName(request) => {
                    let position = |row: &ListedUser| row.user.username.to_ascii_lowercase();
                    self.pages(&list, &owners, (request, true), position).await?
                }
            };
            pages.extend(
                owners
                    .into_iter()
                    .zip(found)
                    .map(|(owner, found)| ((owner.clone(), page.clone()), Arc::new(found))),
            );
        }
        Ok(pages)
    }
}

impl FollowPages {
    /// Reads the same page of the lists of all owners, in their order.
    async fn pages<K: CursorKey + Into<Value>>(
        &self,
        list: &FollowList,
        owners: &[&FilteredList],
        (request, is_by_name): (&PageRequest<K>, bool),
        position: impl Fn(&ListedUser) -> K,
    ) -> Result<Vec<Page<ListedUser>>, Error> {
        let (side, size) = smallest_side(&self.db, &self.viewer, list, owners).await?;
        let is_walk = side == Side::List && !is_by_name;
        let size = if is_walk { size.min(MAX_WALK) } else { size };
        let sql = list.page_sql(self.db.engine(), side, is_by_name, request.direction);
        let ids = self.db.engine().bind_ids(owners.iter().map(|list| list.owner));
        let (start, end) = request.bounds();
        let mut values = vec![ids, start.into(), end.into(), request.limit().into()];
        values.extend(list.values(&self.viewer));
        let rows = LOOKUPS * size + owners.len() * request.rows();
        let mut by_owner: HashMap<i64, Vec<ListedUser>> = HashMap::new();
        for row in self.db.all::<ListedUser, _>(rows, &sql, values).await? {
            by_owner.entry(row.owner).or_default().push(row);
        }
        let mut rows_of = |owner| by_owner.remove(&owner).unwrap_or_default();
        Ok(owners.iter().map(|list| Page::new(request, rows_of(list.owner), &position)).collect())
    }
}

#[derive(FromQueryResult)]
struct Count {
    owner: i64,
    count: i64,
}

impl Batch for FollowCounts {
    type Key = FilteredList;
    type Value = i32;

    async fn load(&self, keys: &[FilteredList]) -> Result<HashMap<FilteredList, i32>, Error> {
        let mut counts = HashMap::with_capacity(keys.len());
        for (list, owners) in group(keys, |key| key.list.clone()) {
            let (side, size) = smallest_side(&self.db, &self.viewer, &list, &owners).await?;
            let sql = list.count_sql(self.db.engine(), side);
            let ids = self.db.engine().bind_ids(owners.iter().map(|list| list.owner));
            let mut values = vec![ids, 0i64.into(), 0i64.into(), 0i64.into()];
            values.extend(list.values(&self.viewer));
            let found: Vec<Count> = self.db.all(LOOKUPS * size, &sql, values).await?;
            let found: HashMap<i64, i64> =
                found.into_iter().map(|count| (count.owner, count.count)).collect();
            counts.extend(owners.into_iter().map(|list| {
                let count = found.get(&list.owner).copied().unwrap_or_default();
                (list.clone(), i32::try_from(count).unwrap_or(i32::MAX))
            }));
        }
        Ok(counts)
    }
}

/// Keys by what they have in common.
fn group<K, G: Eq + Hash>(keys: &[K], common: impl Fn(&K) -> G) -> HashMap<G, Vec<&K>> {
    let mut groups: HashMap<G, Vec<&K>> = HashMap::new();
    for key in keys {
        groups.entry(common(key)).or_default().push(key);
    }
    groups
}

/// The side with the fewest rows for all owners, and the number of its rows.
async fn smallest_side(
    db: &Snapshot,
    viewer: &ViewerId,
    list: &FollowList,
    owners: &[&FilteredList],
) -> Result<(Side, usize), Error> {
    let sum = |length: fn(&FilteredList) -> i32| -> i64 {
        owners.iter().map(|owner| i64::from(length(owner))).sum()
    };
    let for_each = |rows: i64| rows.saturating_mul(i64::try_from(owners.len()).unwrap_or(i64::MAX));
    let mut sides = vec![(sum(|owner| owner.length), Side::List)];
    let candidates: Vec<Side> = list.filter.sides().collect();
    let needs_sizes = candidates.iter().any(|side| *side != Side::Opposite);
    let sizes = if needs_sizes { read_sizes(db, viewer, &list.filter).await? } else { None };
    for side in candidates {
        let size = match (side, &sizes) {
            (Side::Opposite, _) => Some(sum(|owner| owner.opposite_length)),
            (Side::ViewerFollows, sizes) => {
                Some(sizes.as_ref().map_or(0, |it| it.following.into()))
            }
            (Side::FollowsViewer, sizes) => {
                Some(sizes.as_ref().map_or(0, |it| it.followers.into()))
            }
            (Side::Prefix, Some(sizes)) if sizes.named <= MAX_PREFIX_SIDE => Some(sizes.named),
            _ => None,
        };
        let is_of_owner = side == Side::Opposite;
        sides.extend(size.map(|size| (if is_of_owner { size } else { for_each(size) }, side)));
    }
    let (rows, side) = sides.into_iter().min_by_key(|(rows, _)| *rows).unwrap_or((0, Side::List));
    Ok((side, usize::try_from(rows).unwrap_or(usize::MAX)))
}

/// The sizes of the sides that do not belong to an owner.
#[derive(FromQueryResult)]
struct Sizes {
    following: i32,
    followers: i32,
    /// Number of users with the prefix, at most one more than [`MAX_PREFIX_SIDE`].
    named: i64,
}

async fn read_sizes(
    db: &Snapshot,
    viewer: &ViewerId,
    filter: &FollowFilter,
) -> Result<Option<Sizes>, Error> {
    let (named, limit) = (filter.prefix_range(), MAX_PREFIX_SIDE + 1);
    let count = match &named {
        None => "CAST(0 AS bigint)".to_owned(),
        Some(_) => format!(
            "(SELECT count(*) FROM (SELECT 1 FROM \"user\" WHERE lower(username) >= $2 \
             AND lower(username) < $3 LIMIT {limit}) AS named)"
        ),
    };
    let of_viewer =
        |column: &str| format!("coalesce((SELECT {column} FROM \"user\" WHERE id = $1), 0)");
    let sql = format!(
        "SELECT {} AS following, {} AS followers, {count} AS named",
        of_viewer("following_count"),
        of_viewer("followers_count")
    );
    let rows = named.as_ref().map_or(2, |_| usize::try_from(limit).unwrap_or_default());
    let values = [viewer.value()].into_iter().chain(named.into_iter().flatten());
    Ok(db.all(rows, &sql, values).await?.into_iter().next())
}
