//! Loaders of posts, by id and as pages of an author's posts.
//!
//! A page loader takes one statement for all authors that need the same page.

use std::collections::HashMap;
use std::sync::Arc;

use entity::post;
use entity::user::visible_to_sql;
use sea_orm::FromQueryResult;

use super::feed::ListedPost;
use super::{Batch, OWNER_LOOKUPS, PageKey, ViewerId, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, OwnedRows, Page, USERS, page_sql};

/// Posts by id, if the viewer may see them.
pub struct Posts {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for Posts {
    type Key = i64;
    type Value = post::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, post::Model>, Error> {
        let engine = self.db.engine();
        let sql = format!(
            "SELECT post.* FROM post WHERE {} AND {}",
            engine.in_list_sql("id", 1),
            visible_to_sql("author_id", "$2")
        );
        let values = [engine.bind_ids(keys.iter().copied()), self.viewer.value()];
        let rows = (1 + OWNER_LOOKUPS) * keys.len();
        let posts: Vec<post::Model> = self.db.all(rows, &sql, values).await?;
        Ok(posts.into_iter().map(|post| (post.id, post)).collect())
    }
}

/// A page of a user's posts that pass a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PostPageKey {
    pub page: PageKey,
    /// Whether the list has the user's replies.
    pub replies: bool,
    /// Number of all posts of the user.
    pub posts: i32,
    /// Number of posts that pass the filter.
    pub listed: i32,
}

impl PostPageKey {
    /// Estimated number of posts that are read for the page.
    ///
    /// Posts that do not pass the filter are read too. They are assumed to be evenly distributed.
    pub(super) fn rows(&self) -> usize {
        let rows = self.page.page.rows();
        if self.replies {
            return rows;
        }
        let (posts, listed) = (usize::try_from(self.posts), usize::try_from(self.listed));
        let (posts, listed) = (posts.unwrap_or_default(), listed.unwrap_or_default());
        (rows * posts / listed.max(1)).min(posts)
    }
}

/// Pages of an author's posts, newest first.
///
/// They are empty if the viewer may not see the posts. Posts with and without replies take a
/// statement each.
pub struct PostPages {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for PostPages {
    type Key = PostPageKey;
    type Value = Arc<Page<ListedPost>>;

    async fn load(&self, keys: &[PostPageKey]) -> Result<HashMap<PostPageKey, Self::Value>, Error> {
        load_pages(
            &self.db,
            keys,
            (posts_sql, &self.viewer),
            |post: &post::Model| post.author_id,
            ListedPost::from,
            |key| key.rows() + OWNER_LOOKUPS,
        )
        .await
    }
}

/// Loads pages of posts of users.
///
/// Lists with and without replies take a statement each, with the parameters of [`page_sql`] and
/// then the viewer. `rows` is the number of rows that it looks up for a key.
pub(super) async fn load_pages<R: FromQueryResult>(
    db: &Snapshot,
    keys: &[PostPageKey],
    (sql, viewer): (impl Fn(Engine, bool, Direction) -> String, &ViewerId),
    owner: impl Fn(&R) -> i64,
    listed: impl Fn(R) -> ListedPost,
    rows: impl Fn(&PostPageKey) -> usize,
) -> Result<HashMap<PostPageKey, Arc<Page<ListedPost>>>, Error> {
    let mut found = HashMap::with_capacity(keys.len());
    for replies in [true, false] {
        let keys: Vec<&PostPageKey> = keys.iter().filter(|key| key.replies == replies).collect();
        let lookups: HashMap<&PageKey, usize> =
            keys.iter().map(|key| (&key.page, rows(key))).collect();
        let page_keys: Vec<PageKey> = lookups.keys().copied().cloned().collect();
        let pages = pages(
            db,
            &page_keys,
            (|engine, direction| sql(engine, replies, direction), &[viewer.value()]),
            |request, rows: Vec<R>| {
                let rows = rows.into_iter().map(&listed).collect();
                Arc::new(Page::new(request, rows, ListedPost::position))
            },
            &owner,
            |key| lookups[key],
        )
        .await?;
        let page = |key: &PostPageKey| Some((key.clone(), pages.get(&key.page).cloned()?));
        found.extend(keys.into_iter().filter_map(page));
    }
    Ok(found)
}

/// The statement for pages of posts.
///
/// Its parameters are those of [`page_sql`], and then the viewer.
fn posts_sql(engine: Engine, replies: bool, direction: Direction) -> String {
    let condition = if replies { "" } else { "AND in_reply_to_id IS NULL" };
    let viewer = Some("$5");
    let list = OwnedRows { parent: USERS, table: "post", owner: "author_id", condition, viewer };
    format!("SELECT post.* FROM {}", page_sql(engine, list, direction))
}
