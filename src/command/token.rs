//! `rookery token`: bearer tokens without a password, for operators, load tests and imported users.

use anyhow::{Context as _, Result};
use chrono::{TimeDelta, Utc};
use entity::user;
use secrecy::ExposeSecret as _;

use crate::auth::{Client, open_session};
use crate::database::{Database, Node};
use crate::key::{COMMAND_NODE, Keys};

/// Opens a session for `username` and returns its token.
///
/// # Errors
/// When there is no such user, or the database is busy.
pub async fn create(database: &Database, username: &str, days: u16) -> Result<String> {
    let transaction = database.begin_turn().await?;
    let user = user::Entity::find_by(&user::By::Username(username.to_owned()))
        .one(&transaction)
        .await?
        .with_context(|| format!("there is no user '{username}'"))?;
    // Above what another command may have made within this millisecond.
    let id = Keys::new(Node::fixed(COMMAND_NODE), database.largest_key().await?).next();
    let user_agent = Some("rookery token create".to_owned());
    let client = Client { user_agent, ..Client::default() };
    let expires_at = Utc::now() + TimeDelta::days(days.into());
    let signed_in = open_session(&transaction, user, (id, expires_at), client).await?;
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
    use crate::command::testing::Bench;

    #[tokio::test]
    async fn tokens_made_at_the_same_moment_are_different_sessions() {
        let bench = Bench::new().await;
        seed::demo(&bench.db, "hash").await.unwrap();
        let tokens = (0..8).map(|_| create(&bench.db, "susan", 1));
        let tokens = HashSet::<String>::from_iter(try_join_all(tokens).await.unwrap());
        assert_eq!((tokens.len(), bench.count("session").await), (8, 8));
    }

    #[tokio::test]
    async fn a_token_waits_for_its_turn() {
        let bench = Bench::new().await;
        seed::demo(&bench.db, "hash").await.unwrap();
        let turn = bench.db.begin_turn().await.unwrap();
        let moment = Duration::from_millis(300);
        let early = tokio::time::timeout(moment, create(&bench.db, "susan", 1)).await;
        assert!(early.is_err(), "its key may be the other command's");
        turn.rollback().await.unwrap();
        create(&bench.db, "susan", 1).await.unwrap();
        assert_eq!(bench.count("session").await, 1);
    }
}
