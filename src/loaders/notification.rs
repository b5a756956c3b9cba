//! Loader of the viewer's notifications, and the rows for events.
//!
//! The statement of the loader is restricted to the viewer, so a global id of another user's
//! notification finds nothing.

use std::collections::HashMap;

use entity::notification;

use super::{Batch, OWNER_LOOKUPS, ViewerId};
use crate::database::Snapshot;
use crate::error::Error;

/// The viewer's notifications by id, if the viewer may see their posts.
pub struct Notifications {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for Notifications {
    type Key = i64;
    type Value = notification::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, notification::Model>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let sql = format!(
            "SELECT notification.* FROM notification WHERE {} AND user_id = $2 AND {}",
            engine.in_list_sql("notification.id", 1),
            notification::visible_to_sql("notification", "$2")
        );
        let values = [engine.bind_ids(keys.iter().copied()), viewer.into()];
        // Each with its post.
        let rows = (2 + OWNER_LOOKUPS) * keys.len();
        let found: Vec<notification::Model> = self.db.all(rows, &sql, values).await?;
        Ok(found.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// Reads notifications of any recipients by id in one statement.
///
/// # Errors
/// Any error of the database.
pub async fn notifications(
    snapshot: &Snapshot,
    keys: &[i64],
) -> Result<HashMap<i64, notification::Model>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let engine = snapshot.engine();
    let is_requested = engine.in_list_sql("notification.id", 1);
    let sql = format!("SELECT notification.* FROM notification WHERE {is_requested}");
    let values = [engine.bind_ids(keys.iter().copied())];
    let found: Vec<notification::Model> = snapshot.all(keys.len(), &sql, values).await?;
    Ok(found.into_iter().map(|row| (row.id, row)).collect())
}
