//! The choice of the side from which a statement of filtered follows starts.
//!
//! For each owner it is the list itself or one other side, which is the same for all owners. So a
//! long list of one owner does not make the lists of others expensive.

use sea_orm::FromQueryResult;

use super::ViewerId;
use super::follow_filter::{FollowFilter, FollowList, Side};
use super::follow_list::FilteredList;
use crate::database::Snapshot;
use crate::error::Error;

/// Number of users with a prefix at which their counting stops.
///
/// A prefix of more users is never the smallest side.
const MAX_PREFIX_SIDE: i64 = 1_000;

/// Chooses sides for a viewer.
pub struct Sides {
    pub viewer: ViewerId,
}

/// Owners whose statement starts from the same side.
pub struct Part {
    pub side: Side,
    pub owners: Vec<i64>,
    /// Number of rows of the side for these owners, with their look-ups.
    pub rows: usize,
    /// Number of rows of a list that fail the filter at most, if the number is known.
    max_misses: Option<usize>,
}

impl Part {
    /// Maximum number of rows that a walk along the lists reads beyond the pages.
    pub fn walked_rows(&self) -> usize {
        self.max_misses.map_or(self.rows, |misses| misses.min(self.rows))
    }
}

/// The sizes of the sides that do not belong to an owner.
#[derive(Default, FromQueryResult)]
struct Sizes {
    /// Number of users whom the viewer follows.
    following: i32,
    /// Number of followers of the viewer.
    followers: i32,
    /// Number of users with the prefix, at most one more than [`MAX_PREFIX_SIDE`].
    named: i64,
}

impl Sizes {
    /// The size of a side for an owner. `None` for a prefix of too many users.
    fn of(&self, side: Side, owner: &FilteredList) -> Option<i64> {
        match side {
            Side::List => Some(owner.length.into()),
            Side::Opposite => Some(owner.opposite_length.into()),
            Side::ViewerFollows => Some(self.following.into()),
            Side::FollowsViewer => Some(self.followers.into()),
            Side::Prefix => Some(self.named).filter(|named| *named <= MAX_PREFIX_SIDE),
        }
    }

    /// Number of users of a list that fail the filter at most, if it is known.
    ///
    /// Those who fail a condition that must not hold are in the side of the condition.
    fn max_misses(&self, filter: &FollowFilter, owner: &FilteredList) -> Option<i64> {
        let FollowFilter { prefix, viewer_follows, follows_viewer, mutual } = filter;
        let conditions = [
            (*viewer_follows, Side::ViewerFollows),
            (*follows_viewer, Side::FollowsViewer),
            (*mutual, Side::Opposite),
        ];
        let misses = conditions.into_iter().map(|(expected, side)| match expected {
            None => Some(0),
            Some(false) => self.of(side, owner),
            Some(true) => None,
        });
        misses.sum::<Option<i64>>().filter(|_| prefix.is_none())
    }
}

impl Sides {
    /// Divides owners into those whose list is the smallest side, and the others.
    pub async fn split(
        &self,
        db: &Snapshot,
        list: &FollowList,
        owners: &[&FilteredList],
    ) -> Result<Vec<Part>, Error> {
        let filter = &list.filter;
        let sizes = self.sizes(db, filter).await?;
        let total = |side| owners.iter().map(|owner| sizes.of(side, owner)).sum::<Option<i64>>();
        let sized = filter.sides().filter_map(|side| Some((total(side)?, side)));
        let other = sized.min_by_key(|(size, _)| *size).map(|(_, side)| side);
        let is_from_list = |owner: &&FilteredList| {
            let size = other.and_then(|side| sizes.of(side, owner));
            size.is_none_or(|size| i64::from(owner.length) <= size)
        };
        let (from_list, from_other): (Vec<&FilteredList>, Vec<_>) =
            owners.iter().copied().partition(is_from_list);
        let part = |side, owners: Vec<&FilteredList>| {
            // The row of another side, and the follow of the pair.
            let lookups = if side == Side::List { 1 } else { 2 };
            let rows = owners.iter().filter_map(|owner| sizes.of(side, owner)).sum::<i64>();
            let misses = owners.iter().map(|owner| sizes.max_misses(filter, owner));
            let to_rows = |rows: i64| usize::try_from(rows).unwrap_or(usize::MAX);
            Part {
                side,
                max_misses: misses.sum::<Option<i64>>().map(to_rows),
                owners: owners.iter().map(|owner| owner.owner).collect(),
                rows: to_rows(rows).saturating_mul(lookups),
            }
        };
        let parts = [(Side::List, from_list), (other.unwrap_or(Side::List), from_other)];
        let parts = parts.into_iter().filter(|(_, owners)| !owners.is_empty());
        Ok(parts.map(|(side, owners)| part(side, owners)).collect())
    }

    /// Reads the sizes that the filter depends on.
    async fn sizes(&self, db: &Snapshot, filter: &FollowFilter) -> Result<Sizes, Error> {
        let is_of_viewer = filter.viewer_follows.or(filter.follows_viewer).is_some();
        if !is_of_viewer && filter.prefix.is_none() {
            return Ok(Sizes::default());
        }
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
        let values = [self.viewer.value()].into_iter().chain(named.into_iter().flatten());
        let rows: Vec<Sizes> = db.all(rows, &sql, values).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}
