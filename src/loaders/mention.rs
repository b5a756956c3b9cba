//! Loader of the mentions in the texts of posts.

use std::collections::HashMap;
use std::sync::Arc;

use entity::mention;
use sea_orm::{EntityTrait as _, QueryFilter as _, QueryOrder as _};

use super::Batch;
use crate::database::Snapshot;
use crate::error::Error;

/// The mentions of a post by its id, in the order of the text.
///
/// The value is `None` if there are none.
pub struct Mentions(pub(super) Snapshot);

impl Batch for Mentions {
    type Key = i64;
    type Value = Arc<Vec<mention::Model>>;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, Self::Value>, Error> {
        let engine = self.0.engine();
        let is_requested = engine.in_list_expr("post_id", engine.bind_ids(keys.iter().copied()));
        let mentions = mention::Entity::find()
            .filter(is_requested)
            .order_by_asc(mention::Column::Start)
            .all(&**self.0.read(keys.len()).await?)
            .await?;
        // Most posts have at most one, which is reserved.
        self.0.charge_read(mentions.len().saturating_sub(keys.len()));
        let mut by_post: HashMap<i64, Vec<mention::Model>> = HashMap::new();
        for mention in mentions {
            by_post.entry(mention.post_id).or_default().push(mention);
        }
        Ok(by_post.into_iter().map(|(post, mentions)| (post, Arc::new(mentions))).collect())
    }
}
