//! Who follows whom: pages of both lists of many users, and what lies between the viewer and others.

use std::collections::HashMap;
use std::sync::Arc;

use entity::user;
use sea_orm::{FromQueryResult, QueryResult};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The user whose list this is.
    pub owner: i64,
    /// The follow itself: its moment, and the place in the list.
    pub follow_id: i64,
    pub user: user::Card,
}

impl FromQueryResult for Neighbour {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        const NEXT: usize = user::Card::COLUMNS;
        Ok(Self {
            user: user::Card::from_query_result(row, prefix)?,
            owner: row.try_get_by_index(NEXT)?,
            follow_id: row.try_get_by_index(NEXT + 1)?,
        })
    }
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
            |engine, direction| sql(engine, self.side, direction),
            |page, rows| Arc::new(Slice::new(page, rows, |row: &Neighbour| row.follow_id)),
            |row| row.owner,
        )
        .await
    }
}

/// The statement for pages of one of the two lists, with its users. Parameters: those of
/// [`rows`].
pub fn sql(engine: Engine, side: Side, direction: Direction) -> String {
    let (mine, theirs) = match side {
        Side::Followers => ("followed_id", "follower_id"),
        Side::Following => ("follower_id", "followed_id"),
    };
    let rows = rows(engine, "follow", mine, direction);
    let card = user::CARD;
    format!(
        "SELECT {card}, page.owner, page.follow_id FROM ( \
           SELECT owner.value AS owner, follow.id AS follow_id, follow.{theirs} AS other \
           FROM {rows}) AS page CROSS JOIN \"user\" WHERE \"user\".id = page.other"
    )
}

/// Who follows whom, keyed by (follower, followed). Finds nothing where there is no follow.
pub struct Pairs(pub(super) Snapshot);

#[derive(FromQueryResult)]
struct Pair {
    follower_id: i64,
    followed_id: i64,
}

impl Batch for Pairs {
    type Key = (i64, i64);
    type Value = ();

    async fn load(&self, keys: &[(i64, i64)]) -> Result<HashMap<(i64, i64), ()>, Error> {
        let sql = format!(
            "SELECT follower_id, followed_id FROM {} CROSS JOIN follow \
             WHERE follower_id = CAST(pair.value ->> 0 AS bigint) \
             AND followed_id = CAST(pair.value ->> 1 AS bigint)",
            self.0.engine().each_element("pair")
        );
        let pairs: serde_json::Value = keys.iter().map(|(one, other)| vec![*one, *other]).collect();
        let rows: Vec<Pair> = self.0.all(&sql, [pairs.to_string().into()]).await?;
        Ok(rows.into_iter().map(|pair| ((pair.follower_id, pair.followed_id), ())).collect())
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
