//! Which of many posts the viewer has bookmarked.

use std::collections::HashMap;

use entity::bookmark;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};

use super::{Batch, ViewerKey};
use crate::database::Snapshot;
use crate::error::Error;

/// Keyed by the post. Finds nothing for posts without the viewer's bookmark.
pub struct Bookmarked {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerKey,
}

impl Batch for Bookmarked {
    type Key = i64;
    type Value = ();

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, ()>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let these = engine.one_of("post_id", engine.keys(keys.iter().copied()));
        let posts: Vec<i64> = bookmark::Entity::find()
            .select_only()
            .column(bookmark::Column::PostId)
            .filter(bookmark::Column::UserId.eq(viewer))
            .filter(these)
            .into_tuple()
            .all(&**self.db.get().await?)
            .await?;
        Ok(posts.into_iter().map(|post| (post, ())).collect())
    }
}
