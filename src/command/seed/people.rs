//! Generated users: names that people have, usernames that nobody has yet.

use std::collections::HashSet;
use std::iter::zip;

use anyhow::{Context as _, Result};
use fake::Fake as _;
use fake::faker::name::en::{FirstName, LastName};
use indicatif::ProgressBar;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use sea_orm::{DbErr, FromQueryResult};

use super::{Year, writing};
use crate::command::bulk::{self, Bulk, CHUNK, User};

/// Leaves ten of a username's thirty characters for the number at its end.
const LONGEST_STEM: usize = 20;

/// Adds `count` users who joined in the year before last, oldest first; gives their keys.
pub async fn add(
    bulk: &Bulk<'_>,
    count: u32,
    rng: &mut ChaCha8Rng,
    progress: &ProgressBar,
) -> Result<Vec<i64>> {
    let year = Year::before_last(count.into());
    let numbers = Numbers::after_existing(bulk, count).await?;
    let count = usize::try_from(count).context("too many users")?;
    let mut keys = Vec::with_capacity(count);
    for start in (0..count).step_by(CHUNK) {
        let rows = start..count.min(start + CHUNK);
        let moments: Vec<_> = rows.clone().map(|row| year.moment(row, rng)).collect();
        let mut users: Vec<User> = rows.map(|_| person(rng)).collect();
        numbers.make_unique(bulk, &mut users, start).await.context("cannot look up usernames")?;
        let new = bulk.keys_at(r#""user""#, &moments).await?;
        zip(&mut users, &new).for_each(|(user, id)| user.id = *id);
        keys.extend(new);
        bulk.add_users(&users).await.context("cannot add the users")?;
        progress.inc(users.len() as u64);
    }
    Ok(keys)
}

/// Somebody whose username still lacks its number.
fn person(rng: &mut ChaCha8Rng) -> User {
    let first: &str = FirstName().fake_with_rng(rng);
    let last: &str = LastName().fake_with_rng(rng);
    let stem = format!("{first}_{last}").to_ascii_lowercase();
    let stem = stem.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '_');
    User {
        username: stem.take(LONGEST_STEM).collect(),
        display_name: Some(format!("{first} {last}")),
        about_me: rng.random_ratio(2, 3).then(|| writing::sentence(rng)),
        ..User::default()
    }
}

/// The numbers at the end of usernames: one for each row, and when the name is in use all the same,
/// that number plus a multiple of the `step`, which is no other row's.
struct Numbers {
    first: usize,
    step: usize,
}

impl Numbers {
    async fn after_existing(bulk: &Bulk<'_>, count: u32) -> Result<Self> {
        let existing = bulk.number(r#"SELECT count(*) AS number FROM "user""#, []).await;
        let existing = existing.context("cannot count the users")?;
        Ok(Self { first: usize::try_from(existing)?, step: usize::try_from(count)? })
    }

    /// Numbers the `users`, the first of whom is row `start`, and gives them their addresses.
    async fn make_unique(
        &self,
        bulk: &Bulk<'_>,
        users: &mut [User],
        start: usize,
    ) -> Result<(), DbErr> {
        let stems: Vec<String> = users.iter().map(|user| user.username.clone()).collect();
        let mut open: Vec<usize> = (0..users.len()).collect();
        let mut number = self.first + start;
        while !open.is_empty() {
            for place in &open {
                let username = format!("{}{}", stems[*place], number + place);
                users[*place].email = format!("{username}@example.com");
                users[*place].username = username;
            }
            let taken = taken(bulk, open.iter().map(|place| &users[*place])).await?;
            open.retain(|place| taken.contains(&users[*place].username));
            number += self.step;
        }
        Ok(())
    }
}

/// The usernames among these that are in use, or whose address is.
async fn taken<'u>(
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
        bulk.engine().each_element("wanted")
    );
    let wanted = bulk::json(users.map(|user| (&user.username, &user.email)))?;
    let taken = bulk.rows::<Taken>(&find, [wanted]).await?;
    Ok(taken.into_iter().map(|row| row.username).collect())
}
