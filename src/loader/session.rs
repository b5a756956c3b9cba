//! The viewer's own sessions by id; nobody else's.

use std::collections::HashMap;

use chrono::Utc;
use entity::session;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::{Batch, ViewerKey};
use crate::database::Snapshot;
use crate::error::Error;

pub struct Sessions {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerKey,
}

impl Batch for Sessions {
    type Key = i64;
    type Value = session::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, session::Model>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let these = engine.one_of("id", engine.keys(keys.iter().copied()));
        let sessions = session::Entity::find()
            .filter(session::Column::UserId.eq(viewer))
            .filter(session::Column::ExpiresAt.gt(Utc::now()))
            .filter(these)
            .all(&**self.db.get().await?)
            .await?;
        Ok(sessions.into_iter().map(|session| (session.id, session)).collect())
    }
}
