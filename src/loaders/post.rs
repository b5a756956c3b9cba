//! Loaders of posts, by id and as pages of an author's posts.
//!
//! A page loader takes one statement for all authors that need the same page.

use std::collections::HashMap;
use std::sync::Arc;

use entity::post;
use entity::user::visible_to_sql;

use super::{Batch, OWNER_LOOKUPS, PageKey, ViewerId, pages};
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{OwnedRows, Page, USERS, page_sql};

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

/// Pages of an author's posts, newest first.
///
/// They are empty if the viewer may not see the posts.
pub struct PostPages {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for PostPages {
    type Key = PageKey;
    type Value = Arc<Page<post::Model>>;

    async fn load(&self, keys: &[PageKey]) -> Result<HashMap<PageKey, Self::Value>, Error> {
        let viewer = Some("$5");
        let list =
            OwnedRows { parent: USERS, table: "post", owner: "author_id", condition: "", viewer };
        let sql =
            |engine, direction| format!("SELECT post.* FROM {}", page_sql(engine, list, direction));
        pages(
            &self.db,
            keys,
            (sql, &[self.viewer.value()]),
            |request, posts| Arc::new(Page::new(request, posts, |post: &post::Model| post.id)),
            |post| post.author_id,
            |key| key.page.rows() + OWNER_LOOKUPS,
        )
        .await
    }
}
