//! Bulk writes of likes and reposts, and the counts of posts.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use entity::feed_item::Kind;
use sea_orm::{ActiveEnum as _, DbErr, FromQueryResult, Value};

use super::{Bulk, ROWS_PER_STATEMENT, json, set_counts_sql};

/// A user as the author of posts.
#[derive(Clone, Copy, Debug)]
pub struct Author {
    pub id: i64,
    pub is_protected: bool,
}

/// A like or a repost to add: `actor` likes or reposts `post`.
#[derive(Clone, Copy, Debug)]
pub struct Reaction {
    pub id: i64,
    pub actor: i64,
    pub post: i64,
}

impl Bulk<'_> {
    /// The users with these usernames, by username in lower case.
    pub async fn authors_named(&self, names: &[&str]) -> Result<HashMap<String, Author>, DbErr> {
        #[derive(FromQueryResult)]
        struct Named {
            id: i64,
            name: String,
            is_protected: bool,
        }
        let is_listed = self.engine().in_list_sql("lower(username)", 1);
        let find = format!(
            r#"SELECT id, lower(username) AS name, is_protected FROM "user" WHERE {is_listed}"#
        );
        let names = self.engine().bind_strings(names.iter().map(|name| name.to_ascii_lowercase()));
        let found = self.rows::<Named>(&find, [names]).await?;
        let author = |Named { id, name, is_protected }| (name, Author { id, is_protected });
        Ok(found.into_iter().map(author).collect())
    }

    pub async fn add_likes(&self, likes: &[Reaction]) -> Result<(), DbErr> {
        let add = format!(
            r#"INSERT INTO "like" (id, user_id, post_id)
            SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint),
                CAST(value ->> 2 AS bigint)
            FROM {}"#,
            self.engine().unnest_json("item")
        );
        self.execute(&add, [rows(likes)?]).await.map(drop)
    }

    pub async fn add_reposts(&self, reposts: &[Reaction]) -> Result<(), DbErr> {
        let add = format!(
            "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
            SELECT CAST(value ->> 1 AS bigint), CAST(value ->> 0 AS bigint), post.id, author_id, {}
            FROM {} CROSS JOIN post WHERE post.id = CAST(value ->> 2 AS bigint)",
            Kind::Repost.into_value(),
            self.engine().unnest_json("item")
        );
        self.execute(&add, [rows(reposts)?]).await.map(drop)
    }

    /// Sets the stored counts of these posts, after [`Bulk::recount`].
    pub async fn recount_posts(&self, posts: &[i64]) -> Result<(), DbErr> {
        let is_listed = self.engine().in_list_sql("id", 1);
        let update = format!("UPDATE post SET {} WHERE {is_listed}", set_counts_sql("post"));
        for posts in posts.chunks(ROWS_PER_STATEMENT) {
            self.execute(&update, [self.engine().bind_ids(posts.iter().copied())]).await?;
        }
        Ok(())
    }

    /// A free id of `table` for each time. Several times may share a millisecond.
    ///
    /// Within a millisecond, ids have the order of the list.
    ///
    /// # Errors
    /// When all ids of a millisecond are in use; any error of the database.
    pub async fn ids_in_order(
        &self,
        table: &'static str,
        times: &[DateTime<Utc>],
    ) -> Result<Vec<i64>> {
        let ids = self.free_ids_in_order(table, times).await?;
        ids.into_iter().collect::<Option<_>>().context("all ids of a millisecond are in use")
    }

    /// The ids of [`Self::ids_in_order`].
    ///
    /// They are `None` where all ids of a millisecond are in use.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn free_ids_in_order(
        &self,
        table: &'static str,
        times: &[DateTime<Utc>],
    ) -> Result<Vec<Option<i64>>> {
        let mut distinct = times.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let free = self.free_ids(table, &distinct).await?;
        let mut free: HashMap<_, _> = distinct.into_iter().zip(free).collect();
        Ok(times.iter().map(|time| free.get_mut(time).and_then(Iterator::next)).collect())
    }
}

/// The reactions as a JSON array: id, actor and post of each.
fn rows(reactions: &[Reaction]) -> Result<Value, DbErr> {
    json(reactions.iter().map(|reaction| (reaction.id, reaction.actor, reaction.post)))
}
