//! `rookery token`: creates bearer tokens without a password.
//!
//! They are for operators, load tests and imported users.

use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use clap::Subcommand;
use entity::user;
use secrecy::ExposeSecret as _;

use crate::auth::{Client, SessionSpec, open_session};
use crate::clock;
use crate::database::Database;
use crate::ids::{COMMAND_INSTANCE, IdGenerator, InstanceId};

/// The subcommands of `token`.
#[derive(Clone, Debug, Subcommand)]
pub enum Token {
    /// Create a session for a user and print its bearer token
    Create {
        /// Username, in any case
        username: String,
        /// Days until the token expires, 1 to 3650
        #[arg(long, env = "ROOKERY_TOKEN_DAYS", default_value_t = 30, value_name = "DAYS",
              value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
    },
}

/// Creates a session of a user that expires after `days`, and returns its token.
///
/// # Errors
/// When there is no such user, or when another command writes for too long; any error of the
/// database.
pub async fn create(database: &Database, username: &str, days: u16) -> Result<String> {
    let transaction = database.begin_serialized().await?;
    let user = user::Entity::find_by(&user::UserRef::Username(username.to_owned()))
        .one(&transaction)
        .await?
        .with_context(|| format!("there is no user '{username}'"))?;
    // Larger than the ids of another command within the same millisecond.
    let id = IdGenerator::new(InstanceId::fixed(COMMAND_INSTANCE), database.max_id().await?).next();
    let user_agent = Some("rookery token create".to_owned());
    let client = Client { user_agent, ..Client::default() };
    let expires_at = clock::now() + TimeDelta::days(days.into());
    let signed_in =
        open_session(&transaction, user, SessionSpec { id, expires_at }, client).await?;
    transaction.commit().await?;
    Ok(signed_in.token.expose_secret().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use futures_util::future::try_join_all;

    use super::*;
    use crate::command::seed;
    use crate::command::testing::TestDatabase;

    #[tokio::test]
    async fn concurrent_tokens_have_different_sessions() {
        let database = TestDatabase::new().await;
        seed::demo(&database.db, "$argon2id$hash").await.unwrap();
        let tokens = (0..8).map(|_| create(&database.db, "susan", 1));
        let tokens = HashSet::<String>::from_iter(try_join_all(tokens).await.unwrap());
        assert_eq!((tokens.len(), database.count("session").await), (8, 8));
    }

    #[tokio::test]
    async fn creation_waits_for_another_command() {
        let database = TestDatabase::new().await;
        seed::demo(&database.db, "$argon2id$hash").await.unwrap();
        let other_command = database.db.begin_serialized().await.unwrap();
        let wait = Duration::from_millis(300);
        let token = tokio::time::timeout(wait, create(&database.db, "susan", 1)).await;
        assert!(token.is_err(), "the other command may have created the same id");
        other_command.rollback().await.unwrap();
        create(&database.db, "susan", 1).await.unwrap();
        assert_eq!(database.count("session").await, 1);
    }
}
