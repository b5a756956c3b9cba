//! Loaders of conversations: ancestors of posts, and pages and counts of replies.
//!
//! Each takes one statement for many posts. They have what the viewer may see.

use std::collections::{HashMap, HashSet};
use std::iter::successors;
use std::sync::Arc;

use entity::post;
use entity::user::visible_to_sql;
use sea_orm::FromQueryResult;

use super::feed::ListedPost;
use super::{Batch, OWNER_LOOKUPS, PageKey, ViewerId, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, OwnedRows, Page, page_sql};

/// Look-ups for a post with its visibility: the row, the author, and a follow.
const LOOKUPS: usize = 1 + OWNER_LOOKUPS;

/// Maximum number of ancestors of a post.
pub const MAX_ANCESTORS: usize = 40;

/// The ancestors of a post by its id, from the oldest down to its parent.
///
/// They end at [`MAX_ANCESTORS`], and at one that was deleted or that the viewer may not see. Posts
/// of one conversation share the rows of their ancestors.
pub struct Ancestors {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for Ancestors {
    type Key = i64;
    type Value = Arc<Vec<Arc<post::Model>>>;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, Self::Value>, Error> {
        let engine = self.db.engine();
        let values = [engine.bind_ids(keys.iter().copied()), self.viewer.value()];
        // At least the posts and their parents. The length of the chains is known after the read.
        let expected = 2 * LOOKUPS * keys.len();
        let rows: Vec<post::Model> = self.db.all(expected, &ancestors_sql(engine), values).await?;
        let posts: HashMap<i64, Arc<post::Model>> =
            rows.into_iter().map(|row| (row.id, Arc::new(row))).collect();
        let parent =
            |child: &Arc<post::Model>| Some(Arc::clone(posts.get(&child.in_reply_to_id?)?));
        // The rows of the recursion. A post that is reached in several ways has several rows.
        let mut steps: HashSet<(i64, usize)> = HashSet::new();
        let mut ancestors = HashMap::with_capacity(keys.len());
        for key in keys {
            let chain = successors(posts.get(key).cloned(), parent).take(MAX_ANCESTORS + 1);
            let mut chain: Vec<Arc<post::Model>> = chain.collect();
            steps.extend(chain.iter().enumerate().map(|(depth, post)| (post.id, depth)));
            chain.reverse();
            chain.pop();
            ancestors.insert(*key, Arc::new(chain));
        }
        let read = LOOKUPS * steps.len() + posts.len();
        self.db.charge_read(read.saturating_sub(expected));
        Ok(ancestors)
    }
}

/// The statement for posts and all their ancestors, each row once.
///
/// Parameters: `$1` is the list of the posts' ids, `$2` is the viewer. It follows the chain of each
/// post up to the first one that the viewer may not see.
#[must_use]
pub fn ancestors_sql(engine: Engine) -> String {
    let is_requested = engine.in_list_sql("post.id", 1);
    let (start, ancestor) =
        (visible_to_sql("post.author_id", "$2"), visible_to_sql("ancestor.author_id", "$2"));
    format!(
        "WITH RECURSIVE chain (id, parent, depth) AS ( \
           SELECT post.id, post.in_reply_to_id, 0 FROM post WHERE {is_requested} AND {start} \
           UNION \
           SELECT ancestor.id, ancestor.in_reply_to_id, chain.depth + 1 \
           FROM chain CROSS JOIN post AS ancestor WHERE ancestor.id = chain.parent \
           AND chain.depth < {MAX_ANCESTORS} AND {ancestor} \
         ) SELECT post.* FROM post WHERE post.id IN (SELECT id FROM chain)"
    )
}

/// Pages of the replies to a post, newest first. The owner of a page is the post.
///
/// Replies that the viewer may not see are left out.
pub struct ReplyPages {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for ReplyPages {
    type Key = PageKey;
    type Value = Arc<Page<ListedPost>>;

    async fn load(&self, keys: &[PageKey]) -> Result<HashMap<PageKey, Self::Value>, Error> {
        pages(
            &self.db,
            keys,
            (replies_sql, &[self.viewer.value()]),
            |request, posts: Vec<post::Model>| {
                let rows = posts.into_iter().map(ListedPost::from).collect();
                Arc::new(Page::new(request, rows, ListedPost::position))
            },
            |post: &post::Model| post.in_reply_to_id.unwrap_or_default(),
            |key| LOOKUPS * key.page.rows(),
        )
        .await
    }
}

/// The statement for pages of replies.
///
/// Its parameters are those of [`page_sql`], and then the viewer.
/// The index of replies has no other posts. The condition lets PostgreSQL use it for all parts.
#[must_use]
pub fn replies_sql(engine: Engine, direction: Direction) -> String {
    let is_visible = visible_to_sql("post.author_id", "$5");
    let condition = &format!("AND in_reply_to_id IS NOT NULL AND {is_visible}");
    let (parent, table, owner) = ("post", "post", "in_reply_to_id");
    let list = OwnedRows { parent, table, owner, condition, viewer: None };
    format!("SELECT post.* FROM {}", page_sql(engine, list, direction))
}

/// Numbers of the replies that the viewer may see.
///
/// The key is the id of the post, and its stored count of all replies.
pub struct ReplyCounts {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

#[derive(FromQueryResult)]
struct ReplyCountRow {
    post_id: i64,
    count: i64,
}

impl Batch for ReplyCounts {
    type Key = (i64, i32);
    type Value = i32;

    async fn load(&self, keys: &[(i64, i32)]) -> Result<HashMap<(i64, i32), i32>, Error> {
        let engine = self.db.engine();
        let values = [engine.bind_ids(keys.iter().map(|(post, _)| *post)), self.viewer.value()];
        let rows: Vec<ReplyCountRow> =
            self.db.all(keys.len(), &reply_count_sql(engine), values).await?;
        let counted = keys.iter().map(|(_, stored)| u64::try_from(*stored).unwrap_or_default());
        self.db.charge_counted(counted.sum());
        let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        let counts: HashMap<i64, i32> =
            rows.into_iter().map(|row| (row.post_id, count(row.count))).collect();
        Ok(keys.iter().filter_map(|key| Some((*key, *counts.get(&key.0)?))).collect())
    }
}

/// The statement for the numbers of replies that the viewer (`$2`) may see.
#[must_use]
pub fn reply_count_sql(engine: Engine) -> String {
    let (posts, is_visible) = (engine.unnest_ids("owner"), visible_to_sql("post.author_id", "$2"));
    format!(
        "SELECT owner.value AS post_id, (SELECT count(*) FROM post \
           WHERE post.in_reply_to_id = owner.value AND {is_visible}) AS count FROM {posts}"
    )
}
