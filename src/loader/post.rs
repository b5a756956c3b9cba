//! Posts by id, and pages of many users' own posts.

use std::collections::HashMap;
use std::sync::Arc;

use entity::post;
use sea_orm::{EntityTrait as _, QueryFilter as _};

use super::{Batch, PageOf, pages};
use crate::database::Snapshot;
use crate::error::Error;
use crate::page::{Slice, rows};

pub struct Posts(pub(super) Snapshot);

impl Batch for Posts {
    type Key = i64;
    type Value = post::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, post::Model>, Error> {
        let engine = self.0.engine();
        let these = engine.one_of("id", engine.keys(keys.iter().copied()));
        let posts = post::Entity::find().filter(these).all(&**self.0.get().await?).await?;
        Ok(posts.into_iter().map(|post| (post.id, post)).collect())
    }
}

pub struct PostPages(pub(super) Snapshot);

impl Batch for PostPages {
    type Key = PageOf;
    type Value = Arc<Slice<post::Model>>;

    async fn load(&self, keys: &[PageOf]) -> Result<HashMap<PageOf, Self::Value>, Error> {
        let sql = |engine, direction| {
            format!("SELECT post.* FROM {}", rows(engine, "post", "author_id", direction))
        };
        pages(
            &self.0,
            keys,
            sql,
            |page, posts| Arc::new(Slice::new(page, posts, |post: &post::Model| post.id)),
            |post| post.author_id,
        )
        .await
    }
}
