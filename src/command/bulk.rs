//! Many rows at once, all of them or none: one writing transaction that takes thousands of rows
//! with each statement. The rows travel as one JSON array, so the text of a statement never changes.
//!
//! Called by the imports, the seed and the doctor. What the rows mean is theirs to know; here is how
//! they get in.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use entity::event;
use sea_orm::{
    ActiveEnum as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait,
    FromQueryResult, Value, prelude::DateTimeUtc,
};
use serde::{Serialize, Serializer as _};

use crate::database::{Database, Engine};
use crate::key;

/// Rows that go into one statement.
pub const CHUNK: usize = 4096;

/// A command that writes half of the database wants 64 MiB of it at hand. Negative numbers are KiB,
/// others pages.
const CACHE: i64 = -64 * 1024;

/// The last of the 13 bits of sequence in a key.
const LAST_SEQUENCE: u16 = (1 << 13) - 1;

/// What the counts of a user must be; follows a `SET` on "user".
pub(super) const COUNTS: &str = r#"
    followers_count = (SELECT count(*) FROM follow WHERE followed_id = "user".id),
    following_count = (SELECT count(*) FROM follow WHERE follower_id = "user".id),
    posts_count = (SELECT count(*) FROM post WHERE author_id = "user".id)"#;

/// A user to add. The moment of joining is the one inside `id`.
#[derive(Clone, Debug, Default)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub email: String,
    pub display_name: Option<String>,
    pub about_me: Option<String>,
    pub password_hash: Option<String>,
}

/// A follow to add.
#[derive(Clone, Copy, Debug)]
pub struct Follow {
    pub id: i64,
    pub follower: i64,
    pub followed: i64,
}

/// A post to add. The moment of writing is the one inside `id`.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    pub id: i64,
    pub author: i64,
    pub body: &'a str,
}

/// A writing transaction over the whole of a command. Dropped without [`Bulk::commit`], it leaves
/// nothing behind.
pub struct Bulk<'a> {
    db: &'a Database,
    transaction: DatabaseTransaction,
    /// What SQLite's connection had before.
    cache: Option<i64>,
}

impl<'a> Bulk<'a> {
    pub async fn begin(db: &'a Database) -> Result<Self> {
        let transaction = db.begin_alone().await?;
        let mut bulk = Self { db, transaction, cache: None };
        if bulk.engine() == Engine::Sqlite {
            let size = "SELECT cache_size AS number FROM pragma_cache_size";
            bulk.cache = Some(bulk.number(size, []).await?);
            bulk.set_cache(CACHE).await?;
        }
        Ok(bulk)
    }

    /// Whoever watches is told that more has changed than can be told.
    pub async fn commit(self) -> Result<()> {
        let sql = "INSERT INTO event (kind, actor, object, at) VALUES ($1, 0, 0, $2)";
        let now = Utc::now().trunc_subsecs(3);
        self.execute(sql, [event::Kind::ManyChanged.into_value().into(), now.into()]).await?;
        if let Some(size) = self.cache {
            self.set_cache(size).await?;
        }
        self.transaction.commit().await.context("cannot write the rows to the disk")
    }

    pub fn engine(&self) -> Engine {
        self.db.engine()
    }

    async fn set_cache(&self, size: i64) -> Result<(), DbErr> {
        self.execute(&format!("PRAGMA cache_size = {size}"), []).await.map(drop)
    }

    pub async fn add_users(&self, users: &[User]) -> Result<(), DbErr> {
        let add = format!(
            r#"INSERT INTO "user"
                (id, username, email, display_name, about_me, password_hash, created_at)
            SELECT CAST(value ->> 0 AS bigint), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
                value ->> 5, {}
            FROM {}"#,
            self.engine().moment("value ->> 6"),
            self.engine().each_element("item")
        );
        let rows = json(users.iter().map(|user| {
            let texts = (&user.display_name, &user.about_me, &user.password_hash);
            let time = time_in(user.id);
            (user.id, &user.username, &user.email, texts.0, texts.1, texts.2, time)
        }))?;
        self.execute(&add, [rows]).await.map(drop)
    }

    pub async fn add_follows(&self, follows: &[Follow]) -> Result<(), DbErr> {
        self.execute(&self.add_follows_sql(), [rows_of(follows)?]).await.map(drop)
    }

    /// Adds the follows that are not there yet and says how many those were.
    pub async fn add_new_follows(&self, follows: &[Follow]) -> Result<u64, DbErr> {
        // Without the WHERE, SQLite reads the ON of the conflict as that of a join.
        let unless_there = "WHERE true ON CONFLICT (follower_id, followed_id) DO NOTHING";
        let add = format!("{} {unless_there}", self.add_follows_sql());
        self.execute(&add, [rows_of(follows)?]).await
    }

    fn add_follows_sql(&self) -> String {
        format!(
            "INSERT INTO follow (id, follower_id, followed_id)
            SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint),
                CAST(value ->> 2 AS bigint)
            FROM {}",
            self.engine().each_element("item")
        )
    }

    pub async fn add_posts(&self, posts: &[Post<'_>]) -> Result<(), DbErr> {
        let add = format!(
            "INSERT INTO post (id, author_id, body, created_at)
            SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint), value ->> 2, {}
            FROM {}",
            self.engine().moment("value ->> 3"),
            self.engine().each_element("item")
        );
        let rows =
            json(posts.iter().map(|post| (post.id, post.author, post.body, time_in(post.id))))?;
        self.execute(&add, [rows]).await.map(drop)
    }

    /// Rows as they are, no more than one statement has parameters for.
    pub async fn add<E: EntityTrait>(
        &self,
        rows: impl IntoIterator<Item = E::ActiveModel>,
    ) -> Result<(), DbErr> {
        E::insert_many(rows).exec_without_returning(&self.transaction).await.map(drop)
    }

    /// Sets the three counts of these users to what there is.
    pub async fn recount(&self, users: &[i64]) -> Result<(), DbErr> {
        self.analyze().await?;
        let these = self.engine().is_in("id", 1);
        let set = format!(r#"UPDATE "user" SET {COUNTS} WHERE {these}"#);
        for users in users.chunks(CHUNK) {
            self.execute(&set, [self.engine().keys(users.iter().copied())]).await?;
        }
        Ok(())
    }

    /// Tells PostgreSQL of what has come in: its plans are made for the rows that it knows of.
    pub async fn analyze(&self) -> Result<(), DbErr> {
        if self.engine() == Engine::Postgres {
            self.execute(r#"ANALYZE "user", session, follow, post, bookmark"#, []).await?;
        }
        Ok(())
    }

    /// The keys of the users with these names, by name in lower case.
    pub async fn users_named(&self, names: &[&str]) -> Result<HashMap<String, i64>, DbErr> {
        #[derive(FromQueryResult)]
        struct Named {
            id: i64,
            name: String,
        }
        let these = self.engine().is_in("lower(username)", 1);
        let find = format!(r#"SELECT id, lower(username) AS name FROM "user" WHERE {these}"#);
        let names = self.engine().texts(names.iter().map(|name| name.to_ascii_lowercase()));
        let found = self.rows::<Named>(&find, [names]).await?;
        Ok(found.into_iter().map(|user| (user.name, user.id)).collect())
    }

    /// For each moment the keys of `table` that are still free in its millisecond.
    pub async fn free_keys(
        &self,
        table: &'static str,
        moments: &[DateTime<Utc>],
    ) -> Result<Vec<RangeInclusive<i64>>> {
        #[derive(FromQueryResult)]
        struct Used {
            place: i64,
            last: i64,
        }
        let find = format!(
            "SELECT place, last FROM (
                SELECT span.key AS place, (
                    SELECT max(id) FROM {table}
                    WHERE id BETWEEN CAST(span.value ->> 0 AS bigint)
                        AND CAST(span.value ->> 1 AS bigint)
                ) AS last FROM {}
            ) AS used WHERE last IS NOT NULL",
            self.engine().each_element("span")
        );
        let spans = moments.iter().map(|moment| {
            let span = key::at(*moment, 0).zip(last_key(*moment));
            span.with_context(|| format!("{moment} is before 1970 or after 2109"))
        });
        let spans = spans.collect::<Result<Vec<_>>>()?;
        let used = self.rows::<Used>(&find, [json(&spans)?]).await?;
        let mut free: Vec<_> = spans.into_iter().map(|(first, last)| first..=last).collect();
        for used in used {
            let place = usize::try_from(used.place)?;
            free[place] = used.last + 1..=*free[place].end();
        }
        Ok(free)
    }

    /// A free key of `table` for each moment. No two moments may share a millisecond.
    pub async fn keys_at(
        &self,
        table: &'static str,
        moments: &[DateTime<Utc>],
    ) -> Result<Vec<i64>> {
        let free = self.free_keys(table, moments).await?;
        let first = free.into_iter().map(|mut keys| keys.next());
        first.collect::<Option<_>>().context("a millisecond has no room for another row")
    }

    /// The largest key that a user or a follow has.
    pub async fn largest_key(&self) -> Result<i64, DbErr> {
        self.number(
            r#"SELECT coalesce(max(id), 0) AS number FROM (
                SELECT max(id) AS id FROM "user" UNION ALL SELECT max(id) FROM follow
            ) AS keys"#,
            [],
        )
        .await
    }

    /// The one number that `sql` selects as `number`.
    pub async fn number(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<i64, DbErr> {
        #[derive(FromQueryResult)]
        struct Row {
            number: i64,
        }
        let rows = self.rows::<Row>(sql, values).await?;
        Ok(rows.first().map_or(0, |row| row.number))
    }

    pub async fn rows<T: FromQueryResult>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<T>, DbErr> {
        let rows = self.transaction.query_all_raw(self.db.statement(sql, values)).await?;
        rows.iter().map(|row| T::from_query_result(row, "")).collect()
    }

    /// Says how many rows changed.
    pub async fn execute(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, DbErr> {
        let done = self.transaction.execute_raw(self.db.statement(sql, values)).await?;
        Ok(done.rows_affected())
    }
}

/// The largest key that the moment's millisecond can have.
pub fn last_key(moment: DateTime<Utc>) -> Option<i64> {
    key::at(moment, LAST_SEQUENCE)
}

/// Rows as the one parameter of a statement.
pub fn json<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Value, DbErr> {
    let mut text = Vec::new();
    let written = serde_json::Serializer::new(&mut text).collect_seq(rows);
    written.map_err(|error| DbErr::Json(error.to_string()))?;
    String::from_utf8(text).map(Value::from).map_err(|error| DbErr::Json(error.to_string()))
}

fn rows_of(follows: &[Follow]) -> Result<Value, DbErr> {
    json(follows.iter().map(|follow| (follow.id, follow.follower, follow.followed)))
}

/// The moment inside a key, written as the entities write it.
fn time_in(id: i64) -> String {
    let time: DateTimeUtc = key::time_of(id);
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}
