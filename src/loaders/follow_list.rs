//! Loaders of filtered or reordered lists of follows: pages and counts.
//!
//! Each has one or two statements for all owners with the same filter, and before them one that
//! finds the sizes of sides, if there is a choice.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use sea_orm::{FromQueryResult, Value};

use super::follow_filter::{FollowList, Side};
use super::follow_side::Sides;
use super::{Batch, ListedUser, OWNER_LOOKUPS};
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{CursorKey, Page, PageRequest};

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
    pub(super) sides: Sides,
}

/// Lengths of filtered lists.
pub struct FollowCounts {
    pub(super) db: Snapshot,
    pub(super) sides: Sides,
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
        let (start, end) = request.bounds();
        let mut by_owner: HashMap<i64, Vec<ListedUser>> = HashMap::new();
        for part in self.sides.split(&self.db, list, owners).await? {
            let is_walk = part.side == Side::List && !is_by_name;
            let rows = if is_walk { part.walked_rows() } else { part.rows };
            let rows = rows + part.owners.len() * (request.rows() + OWNER_LOOKUPS);
            let sql = list.page_sql(self.db.engine(), part.side, is_by_name, request.direction);
            let ids = self.db.engine().bind_ids(part.owners.iter().copied());
            let bounds = [start.clone().into(), end.clone().into(), request.limit().into()];
            let values = [ids].into_iter().chain(bounds).chain(list.values(&self.sides.viewer));
            for row in self.db.all::<ListedUser, _>(rows, &sql, values).await? {
                by_owner.entry(row.owner).or_default().push(row);
            }
        }
        let mut rows_of = |owner| by_owner.remove(&owner).unwrap_or_default();
        let page = |list: &&FilteredList| Page::new(request, rows_of(list.owner), &position);
        Ok(owners.iter().map(page).collect())
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
            let mut found: HashMap<i64, i64> = HashMap::new();
            for part in self.sides.split(&self.db, &list, &owners).await? {
                let sql = list.count_sql(self.db.engine(), part.side);
                let ids = self.db.engine().bind_ids(part.owners.iter().copied());
                let unused = [0i64.into(), 0i64.into(), 0i64.into()];
                let values = [ids].into_iter().chain(unused).chain(list.values(&self.sides.viewer));
                let rows = part.rows + part.owners.len() * OWNER_LOOKUPS;
                let counted: Vec<Count> = self.db.all(rows, &sql, values).await?;
                found.extend(counted.into_iter().map(|count| (count.owner, count.count)));
            }
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
