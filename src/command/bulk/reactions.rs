//! Bulk writes of reposts, and the counts of posts.

use std::collections::HashMap;

use sea_orm::{DbErr, FromQueryResult, Value};

use super::{Bulk, ROWS_PER_STATEMENT, json, set_counts_sql};

/// A user as the author of posts.
#[derive(Clone, Copy, Debug)]
pub struct Author {
    pub id: i64,
    pub is_protected: bool,
}

/// A repost to add: `actor` reposts `post`.
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

    pub async fn add_reposts(&self, reposts: &[Reaction]) -> Result<(), DbErr> {
        let add = format!(
            "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
            SELECT CAST(value ->> 1 AS bigint), CAST(value ->> 0 AS bigint), post.id, author_id, 2
            FROM {} CROSS JOIN post WHERE post.id = CAST(value ->> 2 AS bigint)",
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
}

/// The reactions as a JSON array: id, actor and post of each.
fn rows(reactions: &[Reaction]) -> Result<Value, DbErr> {
    json(reactions.iter().map(|reaction| (reaction.id, reaction.actor, reaction.post)))
}
