//! Loaders of follow lists, single follows and the viewer's relationships.
//!
//! The lists are loaded by page. The statements of the two lists join the listed users' summaries,
//! so that most queries need no further statement for them.

use std::collections::HashMap;
use std::sync::Arc;

use entity::user;
use sea_orm::{FromQueryResult, QueryResult};

use super::{Batch, PageKey, ViewerId, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, Page, page_sql};

/// One of the two follow lists of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowList {
    /// The users that follow the owner.
    Followers,
    /// The users that the owner follows.
    Following,
}

/// An entry of a follow list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowRow {
    /// Id of the user that the list belongs to.
    pub owner: i64,
    /// Id of the follow. It holds the time of the follow and orders the list.
    pub follow_id: i64,
    /// The follower or the followed user.
    pub user: user::UserSummary,
}

impl FromQueryResult for FollowRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        const NEXT: usize = user::UserSummary::COLUMNS;
        Ok(Self {
            user: user::UserSummary::from_query_result(row, prefix)?,
            owner: row.try_get_by_index(NEXT)?,
            follow_id: row.try_get_by_index(NEXT + 1)?,
        })
    }
}

/// Pages of a follow list, newest follow first.
pub struct Follows {
    pub(super) db: Snapshot,
    pub(super) list: FollowList,
}

impl Batch for Follows {
    type Key = PageKey;
    type Value = Arc<Page<FollowRow>>;

    async fn load(&self, keys: &[PageKey]) -> Result<HashMap<PageKey, Self::Value>, Error> {
        pages(
            &self.db,
            keys,
            |engine, direction| sql(engine, self.list, direction),
            |request, rows| Arc::new(Page::new(request, rows, |row: &FollowRow| row.follow_id)),
            |row| row.owner,
            |key| key.page.rows(),
        )
        .await
    }
}

/// The statement for pages of a follow list with user summaries.
///
/// Its parameters are those of [`page_sql`].
pub fn sql(engine: Engine, list: FollowList, direction: Direction) -> String {
    let (owner_column, user_column) = match list {
        FollowList::Followers => ("followed_id", "follower_id"),
        FollowList::Following => ("follower_id", "followed_id"),
    };
    let rows = page_sql(engine, "follow", owner_column, direction);
    let summary = user::SUMMARY_COLUMNS;
    format!(
        "SELECT {summary}, page.owner, page.follow_id FROM ( \
           SELECT owner.value AS owner, follow.id AS follow_id, follow.{user_column} AS other \
           FROM {rows}) AS page CROSS JOIN \"user\" WHERE \"user\".id = page.other"
    )
}

/// Whether a follow exists, by the ids of the follower and the followed user.
///
/// The value is `None` if it does not.
pub struct FollowExists(pub(super) Snapshot);

#[derive(FromQueryResult)]
struct FollowPair {
    follower_id: i64,
    followed_id: i64,
}

impl Batch for FollowExists {
    type Key = (i64, i64);
    type Value = ();

    async fn load(&self, keys: &[(i64, i64)]) -> Result<HashMap<(i64, i64), ()>, Error> {
        let sql = format!(
            "SELECT follower_id, followed_id FROM {} CROSS JOIN follow \
             WHERE follower_id = CAST(pair.value ->> 0 AS bigint) \
             AND followed_id = CAST(pair.value ->> 1 AS bigint)",
            self.0.engine().unnest_json("pair")
        );
        let pairs: serde_json::Value =
            keys.iter().map(|(follower, followed)| vec![*follower, *followed]).collect();
        let rows: Vec<FollowPair> =
            self.0.all(keys.len(), &sql, [pairs.to_string().into()]).await?;
        Ok(rows.into_iter().map(|pair| ((pair.follower_id, pair.followed_id), ())).collect())
    }
}

/// The follows between the viewer and another user, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relationship {
    /// Id of the follow by which the viewer follows the other user.
    pub following: Option<i64>,
    /// Id of the follow by which the other user follows the viewer.
    pub followed_by: Option<i64>,
}

/// Relationships of the viewer, by the other user's id. `None` without a viewer.
pub struct Relationships {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

#[derive(FromQueryResult)]
struct RelationshipRow {
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
            engine.unnest_ids("other")
        );
        let others = engine.bind_ids(keys.iter().copied());
        let rows: Vec<RelationshipRow> =
            self.db.all(2 * keys.len(), &sql, [others, viewer.into()]).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let relationship =
                    Relationship { following: row.following, followed_by: row.followed_by };
                (row.user_id, relationship)
            })
            .collect())
    }
}
