//! Loaders of users, by id and by username.
//!
//! Both read full rows. Lists and timelines join a user summary instead (`UserSummary`) and need
//! these loaders only for fields beyond it.

use std::collections::HashMap;
use std::sync::Arc;

use entity::user;
use sea_orm::{EntityTrait as _, QueryFilter as _};

use super::Batch;
use crate::database::Snapshot;
use crate::error::Error;

/// Users by id.
pub struct Users(pub(super) Snapshot);

impl Batch for Users {
    type Key = i64;
    type Value = Arc<user::Model>;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, Self::Value>, Error> {
        users(&self.0, keys).await
    }
}

/// Reads users by id in one statement.
///
/// # Errors
/// Any error of the database.
pub async fn users(
    snapshot: &Snapshot,
    keys: &[i64],
) -> Result<HashMap<i64, Arc<user::Model>>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let engine = snapshot.engine();
    let is_requested = engine.in_list_expr("id", engine.bind_ids(keys.iter().copied()));
    let transaction = snapshot.read(keys.len()).await?;
    let users = user::Entity::find().filter(is_requested).all(&**transaction).await?;
    Ok(users.into_iter().map(|user| (user.id, Arc::new(user))).collect())
}

/// Users by lower-cased username.
pub struct Usernames(pub(super) Snapshot);

impl Batch for Usernames {
    type Key = String;
    type Value = Arc<user::Model>;

    async fn load(&self, keys: &[String]) -> Result<HashMap<String, Self::Value>, Error> {
        let engine = self.0.engine();
        let is_requested = engine.in_list_expr(
            "lower(username)",
            engine.bind_strings(keys.iter().map(|name| user::normalize_identifier(name))),
        );
        let transaction = self.0.read(keys.len()).await?;
        let users = user::Entity::find().filter(is_requested).all(&**transaction).await?;
        let by_name = |user: user::Model| (user.username.to_ascii_lowercase(), Arc::new(user));
        Ok(users.into_iter().map(by_name).collect())
    }
}
