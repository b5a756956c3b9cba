//! Loader of the viewer's sessions.
//!
//! The statement is restricted to the viewer, so a global id of another user's session finds
//! nothing.

use std::collections::HashMap;

use entity::session;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::{Batch, ViewerId};
use crate::clock;
use crate::database::Snapshot;
use crate::error::Error;

/// The viewer's sessions that have not expired, by id.
pub struct Sessions {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for Sessions {
    type Key = i64;
    type Value = session::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, session::Model>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let is_requested = engine.in_list_expr("id", engine.bind_ids(keys.iter().copied()));
        let sessions = session::Entity::find()
            .filter(session::Column::UserId.eq(viewer))
            .filter(session::Column::ExpiresAt.gt(clock::now()))
            .filter(is_requested)
            .all(&**self.db.read(keys.len()).await?)
            .await?;
        Ok(sessions.into_iter().map(|session| (session.id, session)).collect())
    }
}
