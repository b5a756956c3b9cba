//! Who follows whom: pages of both lists of many users, and what lies between the viewer and others.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::FromQueryResult;

use super::{Batch, PageOf, ViewerKey, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::page::{Direction, Slice, rows};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Followers,
    Following,
}

/// One entry of a list of followers or followed users.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Neighbour {
    /// The user whose list this is.
    pub owner: i64,
    /// The follow itself: its moment, and the place in the list.
    pub follow_id: i64,
    pub user_id: i64,
    /// They follow each other.
    pub is_mutual: bool,
}

pub struct Follows {
    pub(super) db: Snapshot,
    pub(super) side: Side,
}

impl Batch for Follows {
    type Key = PageOf;
    type Value = Arc<Slice<Neighbour>>;

    async fn load(&self, keys: &[PageOf]) -> Result<HashMap<PageOf, Self::Value>, Error> {
        pages(
            &self.db,
            keys,
            |engine, direction| self.sql(engine, direction),
            |page, rows| Arc::new(Slice::new(page, rows, |row: &Neighbour| row.follow_id)),
            |row| row.owner,
        )
        .await
    }
}

impl Follows {
    fn sql(&self, engine: Engine, direction: Direction) -> String {
        let (mine, theirs) = match self.side {
            Side::Followers => ("followed_id", "follower_id"),
            Side::Following => ("follower_id", "followed_id"),
        };
        let rows = rows(engine, "follow", mine, direction);
        format!(
            "SELECT owner.value AS owner, follow.id AS follow_id, follow.{theirs} AS user_id, \
             (SELECT true FROM follow AS back \
             WHERE back.{mine} = follow.{theirs} AND back.{theirs} = owner.value) IS NOT NULL \
             AS is_mutual \
             FROM {rows}"
        )
    }
}

/// Both directions between the viewer and one other user: the follows, if there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relationship {
    /// The viewer follows the other user.
    pub following: Option<i64>,
    /// The other user follows the viewer.
    pub followed_by: Option<i64>,
}

/// Keyed by the other user. Without a viewer there is nothing to find.
pub struct Relationships {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerKey,
}

#[derive(FromQueryResult)]
struct Between {
    user_id: i64,
    following: Option<i64>,
    followed_by: Option<i64>,
}

impl Batch for Relationships {
    type Key = i64;
    type Value = Relationship;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, Relationship>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let sql = format!(
            "SELECT other.value AS user_id, \
             (SELECT id FROM follow WHERE follower_id = $2 AND followed_id = other.value) \
             AS following, \
             (SELECT id FROM follow WHERE follower_id = other.value AND followed_id = $2) \
             AS followed_by \
             FROM {}",
            engine.each_key("other")
        );
        let others = engine.keys(keys.iter().copied());
        let rows: Vec<Between> = self.db.all(&sql, [others, viewer.into()]).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let between =
                    Relationship { following: row.following, followed_by: row.followed_by };
                (row.user_id, between)
            })
            .collect())
    }
}
