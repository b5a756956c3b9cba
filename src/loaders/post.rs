//! Loaders of posts, by id and as pages of an author's posts.
//!
//! A page loader takes one statement for all authors that need the same page.

use std::collections::HashMap;
use std::sync::Arc;

use entity::post;
use sea_orm::{EntityTrait as _, QueryFilter as _};

use super::{Batch, PageKey, pages};
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{Page, page_sql};

/// Posts by id.
pub struct Posts(pub(super) Snapshot);

impl Batch for Posts {
    type Key = i64;
    type Value = post::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, post::Model>, Error> {
        let engine = self.0.engine();
        let is_requested = engine.in_list_expr("id", engine.bind_ids(keys.iter().copied()));
        let transaction = self.0.read(keys.len()).await?;
        let posts = post::Entity::find().filter(is_requested).all(&**transaction).await?;
        Ok(posts.into_iter().map(|post| (post.id, post)).collect())
    }
}

/// Pages of an author's posts, newest first.
pub struct PostPages(pub(super) Snapshot);

impl Batch for PostPages {
    type Key = PageKey;
    type Value = Arc<Page<post::Model>>;

    async fn load(&self, keys: &[PageKey]) -> Result<HashMap<PageKey, Self::Value>, Error> {
        let sql = |engine, direction| {
            format!("SELECT post.* FROM {}", page_sql(engine, "post", ("author_id", ""), direction))
        };
        pages(
            &self.0,
            keys,
            (sql, &[]),
            |request, posts| Arc::new(Page::new(request, posts, |post: &post::Model| post.id)),
            |post| post.author_id,
            |key| key.page.rows(),
        )
        .await
    }
}
