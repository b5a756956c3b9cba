//! Bulk writes in one transaction, for `import`, `seed`, `copy` and `doctor`.
//!
//! A statement writes thousands of rows, which are bound as one JSON array, so its text is the same
//! for any number of rows. Only [`Bulk::add`], for rows of any table, binds each value. The
//! transaction excludes other writers (`Database::begin_exclusive`), so that the counts that it
//! stores are those at its commit. `pairs` has the statements about follows, requests, blocks and
//! mutes, and `reactions` those about likes, reposts and the counts of posts.

mod pairs;
mod reactions;

use std::collections::HashMap;
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use entity::{Count, TABLES, Table, event};
use sea_orm::prelude::DateTimeUtc;
use sea_orm::{ActiveEnum as _, ConnectionTrait as _, DbErr, EntityTrait, FromQueryResult, Value};
use serde::{Serialize, Serializer as _};

use crate::clock;
use crate::database::{Database, Engine, WriteTransaction, max_id_sql};
use crate::ids::snowflake;

pub(super) use pairs::REQUEST_OF_FOLLOW;
pub use pairs::{Pair, PairTable};
pub use reactions::{Author, Reaction};

/// Maximum number of rows of one statement.
pub const ROWS_PER_STATEMENT: usize = 4096;

/// Size of SQLite's page cache during a bulk write: 64 MiB.
///
/// SQLite reads a negative number as KiB, and a positive number as pages.
const CACHE_SIZE: i64 = -64 * 1024;

/// The largest sequence number of an id, 8191: sequence numbers have 13 bits.
const MAX_SEQUENCE: u16 = (1 << 13) - 1;

/// The tables that share their ids: the feed item of a post has the id of the post.
const SHARED_IDS: [&str; 2] = ["post", "feed_item"];

/// All stored counts of the rows of a table, with the tables whose rows they count.
pub(super) fn counts_of(table: &str) -> impl Iterator<Item = (&'static Table, &'static Count)> {
    let counts = TABLES.iter().flat_map(|counted| counted.counts.iter().map(move |c| (counted, c)));
    counts.filter(move |(_, count)| count.table == table)
}

/// The assignments of all stored counts of a table, for `UPDATE ... SET`.
pub(super) fn set_counts_sql(table: &str) -> String {
    let assign = |(counted, count): (&Table, &Count)| {
        format!("{} = {}", count.column, count_subquery(counted, count))
    };
    counts_of(table).map(assign).collect::<Vec<_>>().join(", ")
}

/// A subquery that computes a stored count from the rows of `counted`.
pub(super) fn count_subquery(counted: &Table, count: &Count) -> String {
    let Count { table, key, condition, .. } = count;
    let condition = if condition.is_empty() { "" } else { &format!(" AND counted.{condition}") };
    let counted = counted.quoted();
    format!(
        r#"(SELECT count(*) FROM {counted} AS counted WHERE counted.{key} = "{table}".id{condition})"#
    )
}

/// A user to add. The time of registration is the timestamp of `id`.
#[derive(Clone, Debug, Default)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub email: String,
    pub display_name: Option<String>,
    pub about_me: Option<String>,
    pub password_hash: Option<String>,
}

/// A post to add. The time of creation is the timestamp of `id`.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    pub id: i64,
    pub author: i64,
    pub body: &'a str,
    /// The post that it replies to, which exists or is added by the same statement.
    pub in_reply_to: Option<i64>,
}

/// The transaction of a command, rolled back if dropped before [`Bulk::commit`].
pub struct Bulk<'a> {
    db: &'a Database,
    transaction: WriteTransaction,
    /// SQLite's cache size before the transaction; [`Bulk::commit`] restores it.
    old_cache_size: Option<i64>,
}

impl<'a> Bulk<'a> {
    /// Begins the transaction, once no other writer is active.
    ///
    /// # Errors
    /// When another writer stays active for too long; any error of the database.
    pub async fn begin(db: &'a Database) -> Result<Self> {
        let transaction = db.begin_exclusive().await?;
        let mut bulk = Self { db, transaction, old_cache_size: None };
        if bulk.engine() == Engine::Sqlite {
            let size = "SELECT cache_size AS number FROM pragma_cache_size";
            bulk.old_cache_size = Some(bulk.number(size, []).await?);
            bulk.set_cache_size(CACHE_SIZE).await?;
        }
        Ok(bulk)
    }

    /// Fills the search indexes, records an event, and commits.
    ///
    /// The event is of the kind `ManyChanged`. It makes clients read their pages again.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn commit(self) -> Result<()> {
        let now = clock::now().trunc_subsecs(3);
        let kind = event::Kind::ManyChanged.into_value();
        let values = [kind.into(), 0i64.into(), 0i64.into(), now.into()];
        self.execute(event::INSERT, values).await?;
        let indexed = self.db.index_missing(&*self.transaction).await;
        indexed.context("cannot fill the search indexes")?;
        if let Some(size) = self.old_cache_size {
            self.set_cache_size(size).await?;
        }
        self.transaction.commit().await.context("cannot commit the rows")
    }

    /// Empties damaged search indexes, which [`Self::commit`] fills again.
    pub async fn empty_damaged_indexes(&self) -> Result<(), DbErr> {
        self.db.empty_damaged_indexes(&*self.transaction).await
    }

    pub fn engine(&self) -> Engine {
        self.db.engine()
    }

    async fn set_cache_size(&self, size: i64) -> Result<(), DbErr> {
        self.execute(&format!("PRAGMA cache_size = {size}"), []).await.map(drop)
    }

    pub async fn add_users(&self, users: &[User]) -> Result<(), DbErr> {
        let add = format!(
            r#"INSERT INTO "user"
                (id, username, email, display_name, about_me, password_hash, created_at)
            SELECT CAST(value ->> 0 AS bigint), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
                value ->> 5, {}
            FROM {}"#,
            self.engine().timestamp_expr("value ->> 6"),
            self.engine().unnest_json("item")
        );
        let rows = json(users.iter().map(|user| {
            let texts = (&user.display_name, &user.about_me, &user.password_hash);
            let time = timestamp_text(user.id);
            (user.id, &user.username, &user.email, texts.0, texts.1, texts.2, time)
        }))?;
        self.execute(&add, [rows]).await.map(drop)
    }

    /// Protects the accounts of these users, who have no posts yet.
    pub async fn protect_users(&self, users: &[i64]) -> Result<(), DbErr> {
        let is_listed = self.engine().in_list_sql("id", 1);
        let protect = format!(r#"UPDATE "user" SET is_protected = true WHERE {is_listed}"#);
        for users in users.chunks(ROWS_PER_STATEMENT) {
            self.execute(&protect, [self.engine().bind_ids(users.iter().copied())]).await?;
        }
        Ok(())
    }

    pub async fn add_posts(&self, posts: &[Post<'_>]) -> Result<(), DbErr> {
        let add = format!(
            r#"INSERT INTO post (id, author_id, body, created_at, is_public, in_reply_to_id)
            SELECT CAST(value ->> 0 AS bigint), "user".id, value ->> 2, {}, NOT is_protected,
                CAST(value ->> 4 AS bigint)
            FROM {} CROSS JOIN "user" WHERE "user".id = CAST(value ->> 1 AS bigint)"#,
            self.engine().timestamp_expr("value ->> 3"),
            self.engine().unnest_json("item")
        );
        let rows = json(posts.iter().map(|post| {
            (post.id, post.author, post.body, timestamp_text(post.id), post.in_reply_to)
        }))?;
        self.execute(&add, [rows]).await?;
        let add_items = format!(
            "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
            SELECT author_id, id, id,
                (SELECT parent.author_id FROM post AS parent WHERE parent.id = post.in_reply_to_id),
                CASE WHEN in_reply_to_id IS NULL THEN 0 ELSE 1 END
            FROM post WHERE {}",
            self.engine().in_list_sql("id", 1)
        );
        let ids = self.engine().bind_ids(posts.iter().map(|post| post.id));
        self.execute(&add_items, [ids]).await.map(drop)
    }

    /// Inserts rows of any table in one statement.
    ///
    /// The rows x columns must not exceed the engine's parameter limit.
    pub async fn add<E: EntityTrait>(
        &self,
        rows: impl IntoIterator<Item = E::ActiveModel>,
    ) -> Result<(), DbErr> {
        E::insert_many(rows).exec_without_returning(&self.transaction).await.map(drop)
    }

    /// Analyzes the tables, then sets the stored counts of these users.
    pub async fn recount(&self, users: &[i64]) -> Result<(), DbErr> {
        self.analyze().await?;
        let is_listed = self.engine().in_list_sql("id", 1);
        let set_counts = set_counts_sql("user");
        let update = format!(r#"UPDATE "user" SET {set_counts} WHERE {is_listed}"#);
        for users in users.chunks(ROWS_PER_STATEMENT) {
            self.execute(&update, [self.engine().bind_ids(users.iter().copied())]).await?;
        }
        Ok(())
    }

    /// Analyzes all tables on PostgreSQL, so that its plans consider the new rows.
    pub async fn analyze(&self) -> Result<(), DbErr> {
        if self.engine() == Engine::Postgres {
            let tables: Vec<_> = TABLES.iter().map(Table::quoted).collect();
            self.execute(&format!("ANALYZE {}", tables.join(", ")), []).await?;
        }
        Ok(())
    }

    /// The ids of the users with these usernames, by username in lower case.
    pub async fn users_named(&self, names: &[&str]) -> Result<HashMap<String, i64>, DbErr> {
        let found = self.authors_named(names).await?;
        Ok(found.into_iter().map(|(name, author)| (name, author.id)).collect())
    }

    /// The ids of the users with these e-mail addresses, by address.
    pub async fn users_with_emails(
        &self,
        emails: &[String],
    ) -> Result<HashMap<String, i64>, DbErr> {
        #[derive(FromQueryResult)]
        struct Addressed {
            id: i64,
            email: String,
        }
        let is_listed = self.engine().in_list_sql("email", 1);
        let find = format!(r#"SELECT id, email FROM "user" WHERE {is_listed}"#);
        let emails = self.engine().bind_strings(emails.iter().cloned());
        let found = self.rows::<Addressed>(&find, [emails]).await?;
        Ok(found.into_iter().map(|user| (user.email, user.id)).collect())
    }

    /// For each time, the unused command ids of its millisecond.
    ///
    /// They are above the largest id of that millisecond in `table`. Posts and feed items share
    /// their ids, so those of both tables are considered.
    ///
    /// # Errors
    /// When a time is before 1970 or after 2109; any error of the database.
    async fn free_ids(
        &self,
        table: &'static str,
        times: &[DateTime<Utc>],
    ) -> Result<Vec<RangeInclusive<i64>>> {
        #[derive(FromQueryResult)]
        struct Used {
            /// Index of the time.
            place: i64,
            last: i64,
        }
        let tables = if SHARED_IDS.contains(&table) { SHARED_IDS.to_vec() } else { vec![table] };
        let used = tables.iter().map(|table| {
            format!(
                "SELECT span.key AS place, (
                    SELECT max(id) FROM {table}
                    WHERE id BETWEEN CAST(span.value ->> 0 AS bigint)
                        AND CAST(span.value ->> 1 AS bigint)
                ) AS last FROM {}",
                self.engine().unnest_json("span")
            )
        });
        let used = used.collect::<Vec<_>>().join(" UNION ALL ");
        let find = format!("SELECT place, last FROM ({used}) AS used WHERE last IS NOT NULL");
        let spans = times.iter().map(|time| {
            let span = snowflake::command_id_at(*time, 0).zip(last_id_at(*time));
            span.with_context(|| format!("the time {time} is before 1970 or after 2109"))
        });
        let spans = spans.collect::<Result<Vec<_>>>()?;
        let used = self.rows::<Used>(&find, [json(&spans)?]).await?;
        let mut free: Vec<_> = spans.into_iter().map(|(first, last)| first..=last).collect();
        for used in used {
            let ids = &mut free[usize::try_from(used.place)?];
            *ids = (used.last + 1).max(*ids.start())..=*ids.end();
        }
        Ok(free)
    }

    /// A free id of `table` for each time. No two times may share a millisecond.
    ///
    /// # Errors
    /// When all ids of a millisecond are in use; any error of the database.
    pub async fn ids_at(&self, table: &'static str, times: &[DateTime<Utc>]) -> Result<Vec<i64>> {
        let free = self.free_ids(table, times).await?;
        let first = free.into_iter().map(|mut ids| ids.next());
        first.collect::<Option<_>>().context("all ids of a millisecond are in use")
    }

    /// The largest id of any table; 0 in an empty database.
    pub async fn max_id(&self) -> Result<i64, DbErr> {
        self.number(&format!("SELECT coalesce(({}), 0) AS number", max_id_sql()), []).await
    }

    /// The number that `sql` selects as `number`; 0 without rows.
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

    /// The rows that `sql` selects.
    pub async fn rows<T: FromQueryResult>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<T>, DbErr> {
        let rows = self.transaction.query_all_raw(self.db.statement(sql, values)).await?;
        rows.iter().map(|row| T::from_query_result(row, "")).collect()
    }

    /// Executes a statement and returns the number of rows that it changed.
    pub async fn execute(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, DbErr> {
        let done = self.transaction.execute_raw(self.db.statement(sql, values)).await?;
        Ok(done.rows_affected())
    }
}

/// The largest id of a time's millisecond. `None` before 1970 and after 2109.
pub fn last_id_at(time: DateTime<Utc>) -> Option<i64> {
    snowflake::command_id_at(time, MAX_SEQUENCE)
}

/// Rows as a JSON array, to be bound as one parameter.
pub fn json<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Value, DbErr> {
    let mut text = Vec::new();
    let written = serde_json::Serializer::new(&mut text).collect_seq(rows);
    written.map_err(|error| DbErr::Json(error.to_string()))?;
    String::from_utf8(text).map(Value::from).map_err(|error| DbErr::Json(error.to_string()))
}

/// The timestamp of an id, in the format of the entities.
fn timestamp_text(id: i64) -> String {
    let time: DateTimeUtc = snowflake::timestamp_of(id);
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}
