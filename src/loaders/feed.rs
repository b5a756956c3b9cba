//! Loaders of what users post and repost: pages, and counts of reposts.
//!
//! Each takes one statement for many users. They have what the viewer may see. Lists of posts
//! without reposts are read from the table of posts.

use std::collections::HashMap;
use std::sync::Arc;

use entity::feed_item::Kind;
use entity::post;
use entity::user::visible_to_sql;
use sea_orm::{ActiveEnum as _, FromQueryResult, QueryResult};

use super::post::{PostPageKey, load_pages};
use super::{Batch, OWNER_LOOKUPS, ViewerId};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, OwnedRows, Page, USERS, page_sql};

/// Look-ups for an entry beside its item: the post, its author, and a follow.
const LOOKUPS: usize = 1 + OWNER_LOOKUPS;

/// An entry of a list of posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPost {
    pub post: post::Model,
    /// Id of the feed item of a repost. `None` if the entry is the post itself.
    pub repost: Option<i64>,
}

impl ListedPost {
    /// The position in the list, which is the id of the feed item.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.repost.unwrap_or(self.post.id)
    }
}

impl From<post::Model> for ListedPost {
    fn from(post: post::Model) -> Self {
        Self { post, repost: None }
    }
}

/// The condition that the viewer may see the post of a repost.
///
/// It is a value: for EXISTS, PostgreSQL may read all users.
fn is_visible_sql(viewer: &str) -> String {
    let is_visible = visible_to_sql("feed_item.subject_id", viewer);
    format!("(SELECT 1 WHERE {is_visible}) IS NOT NULL")
}

/// A feed item with its post.
struct FeedRow {
    /// The user who posted or reposted.
    actor: i64,
    listed: ListedPost,
}

impl FromQueryResult for FeedRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        let kind: Kind = row.try_get(prefix, "item_kind")?;
        let item: i64 = row.try_get(prefix, "item_id")?;
        let post = post::Model::from_query_result(row, prefix)?;
        let repost = (kind == Kind::Repost).then_some(item);
        Ok(Self { actor: row.try_get(prefix, "actor")?, listed: ListedPost { post, repost } })
    }
}

/// Pages of what users post and repost, newest first.
///
/// They are empty if the viewer may not see the user's posts. Reposts of posts that the viewer may
/// not see are left out. Lists with and without replies take a statement each.
pub struct FeedPages {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for FeedPages {
    type Key = PostPageKey;
    type Value = Arc<Page<ListedPost>>;

    async fn load(&self, keys: &[PostPageKey]) -> Result<HashMap<PostPageKey, Self::Value>, Error> {
        load_pages(
            &self.db,
            keys,
            (feed_sql, &self.viewer),
            |row: &FeedRow| row.actor,
            |row: FeedRow| row.listed,
            |key| key.rows() + LOOKUPS * key.page.page.rows() + OWNER_LOOKUPS,
        )
        .await
    }
}

/// The statement for pages of feed items with their posts.
///
/// Its parameters are those of [`page_sql`], and then the viewer.
#[must_use]
pub fn feed_sql(engine: Engine, replies: bool, direction: Direction) -> String {
    let (reply, repost) = (Kind::Reply.into_value(), Kind::Repost.into_value());
    let replies = if replies { String::new() } else { format!("AND kind <> {reply}") };
    let is_visible = is_visible_sql("$5");
    let condition = &format!("{replies} AND (kind <> {repost} OR {is_visible})");
    let (table, owner, viewer) = ("feed_item", "actor_id", Some("$5"));
    let list = OwnedRows { parent: USERS, table, owner, condition, viewer };
    let rows = page_sql(engine, list, direction);
    format!(
        "SELECT post.*, page.actor, page.item_id, page.item_kind FROM ( \
           SELECT owner.value AS actor, feed_item.id AS item_id, feed_item.kind AS item_kind, \
             feed_item.post_id AS listed FROM {rows}) AS page \
         CROSS JOIN post WHERE post.id = page.listed"
    )
}

/// Numbers of a user's reposts of posts that the viewer may see.
pub struct RepostCounts {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

#[derive(FromQueryResult)]
struct RepostCountRow {
    user_id: i64,
    /// Number of all feed items of the user, which are read for the count.
    items: i64,
    reposts: i64,
}

impl Batch for RepostCounts {
    type Key = i64;
    type Value = i32;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, i32>, Error> {
        let engine = self.db.engine();
        let values = [engine.bind_ids(keys.iter().copied()), self.viewer.value()];
        let rows: Vec<RepostCountRow> =
            self.db.all(keys.len(), &repost_count_sql(engine), values).await?;
        let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        self.db.charge_counted(rows.iter().map(|row| row.items.unsigned_abs()).sum());
        Ok(rows.into_iter().map(|row| (row.user_id, count(row.reposts))).collect())
    }
}

/// The statement for numbers of reposts.
///
/// Parameters: `$1` is the list of users, `$2` is the viewer.
#[must_use]
pub fn repost_count_sql(engine: Engine) -> String {
    let users = engine.unnest_ids("owner");
    let (repost, is_visible) = (Kind::Repost.into_value(), is_visible_sql("$2"));
    let items = "SELECT count(*) FROM feed_item WHERE feed_item.actor_id = owner.value";
    format!(
        "SELECT owner.value AS user_id, ({items}) AS items, \
           ({items} AND feed_item.kind = {repost} AND {is_visible}) AS reposts FROM {users}"
    )
}
