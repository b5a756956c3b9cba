//! Loader of the viewer's bookmarks, likes and reposts.
//!
//! It finds out for many posts in one statement whether the viewer has bookmarked, liked or
//! reposted them.
//! Bookmarks are private: there is no loader for those of other users.

use std::collections::HashMap;

use entity::feed_item::IS_REPOST;
use sea_orm::FromQueryResult;

use super::{Batch, ViewerId};
use crate::database::Snapshot;
use crate::error::Error;

/// What a viewer can add to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostMark {
    Bookmark,
    Like,
    Repost,
}

impl PostMark {
    /// The rows of the viewer `$2`.
    fn rows_sql(self) -> String {
        match self {
            Self::Bookmark => "bookmark WHERE user_id = $2".to_owned(),
            Self::Like => "\"like\" WHERE user_id = $2".to_owned(),
            Self::Repost => format!("feed_item WHERE actor_id = $2 AND {IS_REPOST}"),
        }
    }
}

/// Whether the viewer has bookmarked, liked or reposted a post, by post id.
///
/// The value is `None` if not, or without a viewer.
pub struct PostMarks {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
    pub(super) mark: PostMark,
}

#[derive(FromQueryResult)]
struct MarkedPost {
    post_id: i64,
}

impl Batch for PostMarks {
    type Key = i64;
    type Value = ();

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, ()>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let (rows, is_requested) = (self.mark.rows_sql(), engine.in_list_sql("post_id", 1));
        let sql = format!("SELECT post_id FROM {rows} AND {is_requested}");
        let values = [engine.bind_ids(keys.iter().copied()), viewer.into()];
        let posts: Vec<MarkedPost> = self.db.all(keys.len(), &sql, values).await?;
        Ok(posts.into_iter().map(|post| (post.post_id, ())).collect())
    }
}
