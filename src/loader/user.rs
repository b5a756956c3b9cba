//! Users by id and by username.

use std::collections::HashMap;

use entity::user;
use sea_orm::{EntityTrait as _, QueryFilter as _, sea_query::Expr};

use super::Batch;
use crate::database::{Snapshot, any_of};
use crate::error::Error;

pub struct Users(pub(super) Snapshot);

impl Batch for Users {
    type Key = i64;
    type Value = user::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, user::Model>, Error> {
        let users =
            user::Entity::find().filter(any_of("id", keys)).all(&**self.0.get().await?).await?;
        Ok(users.into_iter().map(|user| (user.id, user)).collect())
    }
}

/// Keyed by the lower-cased username.
pub struct Usernames(pub(super) Snapshot);

impl Batch for Usernames {
    type Key = String;
    type Value = user::Model;

    async fn load(&self, keys: &[String]) -> Result<HashMap<String, user::Model>, Error> {
        let names =
            serde_json::to_string(keys).map_err(|error| Error::internal(&error.to_string()))?;
        let users = user::Entity::find()
            .filter(Expr::cust_with_values(
                "lower(username) IN (SELECT value FROM json_each(?))",
                [names],
            ))
            .all(&**self.0.get().await?)
            .await?;
        Ok(users.into_iter().map(|user| (user.username.to_ascii_lowercase(), user)).collect())
    }
}
