//! Posts by id, and pages of many users' own posts.

use std::collections::HashMap;
use std::sync::Arc;

use entity::post;
use sea_orm::{EntityTrait as _, QueryFilter as _};

use super::{Batch, PageOf, pages};
use crate::database::{Snapshot, any_of};
use crate::error::Error;
use crate::page::{Slice, window};

pub struct Posts(pub(super) Snapshot);

impl Batch for Posts {
    type Key = i64;
    type Value = post::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, post::Model>, Error> {
        let posts =
            post::Entity::find().filter(any_of("id", keys)).all(&**self.0.get().await?).await?;
        Ok(posts.into_iter().map(|post| (post.id, post)).collect())
    }
}

pub struct PostPages(pub(super) Snapshot);

impl Batch for PostPages {
    type Key = PageOf;
    type Value = Arc<Slice<post::Model>>;

    async fn load(&self, keys: &[PageOf]) -> Result<HashMap<PageOf, Self::Value>, Error> {
        let sql = |direction| {
            let window = window("post", "author_id = owner.value", direction);
            format!(
                "SELECT post.* FROM json_each($1) AS owner CROSS JOIN post \
                 WHERE post.id IN ({window})"
            )
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
