//! `rookery token`: bearer tokens without a password, for operators, load tests and imported users.

use anyhow::{Context as _, Result};
use chrono::{TimeDelta, Utc};
use entity::user;

use crate::auth::{Client, open_session};
use crate::database::{Database, Node};
use crate::key::{COMMAND_NODE, Keys};

/// Opens a session for `username` and returns its token.
///
/// # Errors
/// When there is no such user, or the database is busy.
pub async fn create(database: &Database, username: &str, days: u16) -> Result<String> {
    let transaction = database.begin().await?;
    let user = user::Entity::find_by(&user::By::Username(username.to_owned()))
        .one(&transaction)
        .await?
        .with_context(|| format!("there is no user '{username}'"))?;
    // Above what another command may have made within this millisecond.
    let id = Keys::new(Node::fixed(COMMAND_NODE), database.largest_key().await?).next();
    let client = Client {
        user_agent: Some("rookery token create".to_owned()),
        expires_at: Utc::now() + TimeDelta::days(days.into()),
    };
    let signed_in = open_session(&transaction, user, id, client).await?;
    transaction.commit().await?;
    Ok(signed_in.token)
}
