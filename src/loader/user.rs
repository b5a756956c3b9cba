//! Users by id and by username.

use std::collections::HashMap;
use std::sync::Arc;

use entity::user;
use sea_orm::{EntityTrait as _, QueryFilter as _};

use super::Batch;
use crate::database::Snapshot;
use crate::error::Error;

pub struct Users(pub(super) Snapshot);

impl Batch for Users {
    type Key = i64;
    type Value = Arc<user::Model>;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, Self::Value>, Error> {
        users(&self.0, keys).await
    }
}

/// Users by id, read at once.
///
/// # Errors
/// As the database says.
pub async fn users(
    snapshot: &Snapshot,
    keys: &[i64],
) -> Result<HashMap<i64, Arc<user::Model>>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let engine = snapshot.engine();
    let these = engine.one_of("id", engine.keys(keys.iter().copied()));
    let users = user::Entity::find().filter(these).all(&**snapshot.get().await?).await?;
    Ok(users.into_iter().map(|user| (user.id, Arc::new(user))).collect())
}

/// Keyed by the lower-cased username.
pub struct Usernames(pub(super) Snapshot);

impl Batch for Usernames {
    type Key = String;
    type Value = Arc<user::Model>;

    async fn load(&self, keys: &[String]) -> Result<HashMap<String, Self::Value>, Error> {
        let engine = self.0.engine();
        let these = engine
            .one_of("lower(username)", engine.texts(keys.iter().map(|name| user::sought(name))));
        let users = user::Entity::find().filter(these).all(&**self.0.get().await?).await?;
        let by_name = |user: user::Model| (user.username.to_ascii_lowercase(), Arc::new(user));
        Ok(users.into_iter().map(by_name).collect())
    }
}
