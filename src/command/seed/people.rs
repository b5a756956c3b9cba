//! The users of a generated graph, with common names and unique usernames.

use std::collections::HashSet;
use std::iter::zip;

use anyhow::{Context as _, Result};
use fake::Fake as _;
use fake::faker::name::en::{FirstName, LastName};
use indicatif::ProgressBar;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use sea_orm::{DbErr, FromQueryResult};

use super::{TimeRange, writing};
use crate::command::bulk;
use crate::command::bulk::{Bulk, ROWS_PER_STATEMENT, User};

/// Maximum length of a username without its number.
///
/// It leaves 10 of 30 characters for the number.
const MAX_STEM_LENGTH: usize = 20;

/// Adds `count` users registered in the year before last.
///
/// Returns their ids, oldest first.
pub async fn add(
    bulk: &Bulk<'_>,
    count: u32,
    rng: &mut ChaCha8Rng,
    progress: &ProgressBar,
) -> Result<Vec<i64>> {
    let year = TimeRange::year_before_last(count.into());
    let numbers = UsernameNumbers::after_existing(bulk, count).await?;
    let count = usize::try_from(count).context("too many users")?;
    let mut ids = Vec::with_capacity(count);
    for start in (0..count).step_by(ROWS_PER_STATEMENT) {
        let rows = start..count.min(start + ROWS_PER_STATEMENT);
        let times: Vec<_> = rows.clone().map(|row| year.timestamp(row, rng)).collect();
        let mut users: Vec<User> = rows.map(|_| user_without_number(rng)).collect();
        numbers.make_unique(bulk, &mut users, start).await.context("cannot look up usernames")?;
        let new = bulk.ids_at(r#""user""#, &times).await?;
        zip(&mut users, &new).for_each(|(user, id)| user.id = *id);
        ids.extend(new);
        bulk.add_users(&users).await.context("cannot add the users")?;
        progress.inc(users.len() as u64);
    }
    Ok(ids)
}

/// A user without an id or an e-mail address, whose username lacks its number.
fn user_without_number(rng: &mut ChaCha8Rng) -> User {
    let first: &str = FirstName().fake_with_rng(rng);
    let last: &str = LastName().fake_with_rng(rng);
    let stem = format!("{first}_{last}").to_ascii_lowercase();
    let stem = stem.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '_');
    User {
        username: stem.take(MAX_STEM_LENGTH).collect(),
        display_name: Some(format!("{first} {last}")),
        about_me: rng.random_ratio(2, 3).then(|| writing::sentence(rng)),
        ..User::default()
    }
}

/// The numbers at the end of usernames.
///
/// A row's number is `first` plus its index. If that username is in use, `step` is added until one
/// is free. `step` is the number of rows, so no two rows have the same number.
struct UsernameNumbers {
    first: usize,
    step: usize,
}

impl UsernameNumbers {
    /// Numbers for `count` rows, from the number of existing users.
    async fn after_existing(bulk: &Bulk<'_>, count: u32) -> Result<Self> {
        let existing = bulk.number(r#"SELECT count(*) AS number FROM "user""#, []).await;
        let existing = existing.context("cannot count the users")?;
        Ok(Self { first: usize::try_from(existing)?, step: usize::try_from(count)? })
    }

    /// Completes the usernames and e-mail addresses of `users`.
    ///
    /// The first user is row `start`.
    async fn make_unique(
        &self,
        bulk: &Bulk<'_>,
        users: &mut [User],
        start: usize,
    ) -> Result<(), DbErr> {
        let stems: Vec<String> = users.iter().map(|user| user.username.clone()).collect();
        let mut pending: Vec<usize> = (0..users.len()).collect();
        let mut number = self.first + start;
        while !pending.is_empty() {
            for index in &pending {
                let username = format!("{}{}", stems[*index], number + index);
                users[*index].email = format!("{username}@example.com");
                users[*index].username = username;
            }
            let taken = find_taken(bulk, pending.iter().map(|index| &users[*index])).await?;
            pending.retain(|index| taken.contains(&users[*index].username));
            number += self.step;
        }
        Ok(())
    }
}

/// The usernames of `users` that are in use, or whose e-mail address is.
async fn find_taken<'u>(
    bulk: &Bulk<'_>,
    users: impl Iterator<Item = &'u User>,
) -> Result<HashSet<String>, DbErr> {
    #[derive(FromQueryResult)]
    struct Taken {
        username: String,
    }
    let find = format!(
        r#"SELECT wanted.value ->> 0 AS username FROM {}
        WHERE EXISTS (SELECT 1 FROM "user" WHERE lower(username) = wanted.value ->> 0)
        OR EXISTS (SELECT 1 FROM "user" WHERE email = wanted.value ->> 1)"#,
        bulk.engine().unnest_json("wanted")
    );
    let wanted = bulk::json(users.map(|user| (&user.username, &user.email)))?;
    let taken = bulk.rows::<Taken>(&find, [wanted]).await?;
    Ok(taken.into_iter().map(|row| row.username).collect())
}
