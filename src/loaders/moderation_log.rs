//! Loader of entries of the moderation log, which only moderators can read.

use std::collections::HashMap;

use entity::moderation_log;
use entity::user::is_moderator_sql;

use super::{Batch, ViewerId};
use crate::database::Snapshot;
use crate::error::Error;

/// Entries of the moderation log by id, if the viewer is a moderator.
pub struct ModerationLogEntries {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for ModerationLogEntries {
    type Key = i64;
    type Value = moderation_log::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, moderation_log::Model>, Error> {
        let engine = self.db.engine();
        let sql = format!(
            "SELECT * FROM moderation_log WHERE {} AND {}",
            engine.in_list_sql("id", 1),
            is_moderator_sql("$2")
        );
        let values = [engine.bind_ids(keys.iter().copied()), self.viewer.value()];
        let found: Vec<moderation_log::Model> = self.db.all(1 + keys.len(), &sql, values).await?;
        Ok(found.into_iter().map(|entry| (entry.id, entry)).collect())
    }
}
