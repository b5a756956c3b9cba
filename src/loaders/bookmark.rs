//! Loader of the viewer's bookmarks.
//!
//! It finds out for many posts in one statement whether the viewer has bookmarked them. Bookmarks
//! are private: there is no loader for those of other users.

use std::collections::HashMap;

use entity::bookmark;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};

use super::{Batch, ViewerId};
use crate::database::Snapshot;
use crate::error::Error;

/// Whether the viewer has bookmarked a post, by post id.
///
/// The value is `None` if not, or without a viewer.
pub struct Bookmarked {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for Bookmarked {
    type Key = i64;
    type Value = ();

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, ()>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let is_requested = engine.in_list_expr("post_id", engine.bind_ids(keys.iter().copied()));
        let posts: Vec<i64> = bookmark::Entity::find()
            .select_only()
            .column(bookmark::Column::PostId)
            .filter(bookmark::Column::UserId.eq(viewer))
            .filter(is_requested)
            .into_tuple()
            .all(&**self.db.read(keys.len()).await?)
            .await?;
        Ok(posts.into_iter().map(|post| (post, ())).collect())
    }
}
