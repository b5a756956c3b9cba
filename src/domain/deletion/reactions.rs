//! The reactions to posts, deleted a bounded number at a time.
//!
//! They are reposts, likes and bookmarks. Notifications about the posts and mentions in them are
//! deleted in the same way. The deletion of an account deletes the rows of these tables in the same
//! order.

use std::collections::BTreeMap;

use entity::event;
use entity::feed_item::IS_REPOST;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult};

use super::STEP;
use super::rows::locked_sql;
use crate::domain::{Change, Services};

/// Maximum number of reposts that a step deletes.
///
/// A subscriber that follows all of these users receives an event for each. They fit in its buffer.
const MAX_REPOSTS: i64 = 200;

/// A table whose rows belong to a post.
struct Reaction {
    table: &'static str,
    /// The primary key.
    key: &'static str,
    /// The column of the user.
    user: &'static str,
    /// A further condition of its rows.
    condition: &'static str,
    /// Maximum number of rows that a step deletes.
    max: i64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Like,
    Repost,
    Uncounted,
}

/// The tables in the order in which their rows are deleted.
///
/// A like or a repost may have no notification, so the notifications come first.
const REACTIONS: [Reaction; 5] = [
    uncounted("notification"),
    uncounted("mention"),
    uncounted("bookmark"),
    Reaction {
        table: "feed_item",
        key: "actor_id, id",
        user: "actor_id",
        condition: IS_REPOST,
        max: MAX_REPOSTS,
        kind: Kind::Repost,
    },
    Reaction { table: "\"like\"", kind: Kind::Like, ..uncounted("") },
];

const fn uncounted(table: &'static str) -> Reaction {
    let (key, user, condition, max) = ("id", "user_id", "true", STEP);
    Reaction { table, key, user, condition, max, kind: Kind::Uncounted }
}

/// The reactions that were deleted.
#[derive(Default)]
pub struct DeletedReactions {
    /// Whether none are left. If some are left, the counts of the posts were corrected.
    pub is_complete: bool,
    /// Whether a count of the posts has changed.
    pub are_counts_changed: bool,
    /// The ends of reposts, by the users who reposted.
    pub(super) reposts: Vec<Change>,
}

#[derive(FromQueryResult)]
struct DeletedRow {
    user_id: i64,
    post_id: i64,
}

/// Deletes at most [`STEP`] reactions to posts, which are locked.
///
/// If none are left, the caller deletes the posts.
///
/// # Errors
/// Any error of the database.
pub(super) async fn delete_reactions(
    services: &Services,
    transaction: &DatabaseTransaction,
    posts: &[i64],
) -> Result<DeletedReactions, DbErr> {
    let engine = services.db.engine();
    let is_of_posts = engine.in_list_sql("post_id", 1);
    let mut deleted = DeletedReactions::default();
    let mut counts: BTreeMap<i64, [i32; 2]> = BTreeMap::new();
    let (mut left, mut is_complete) = (STEP, true);
    for Reaction { table, key, user, condition, max, kind } in REACTIONS {
        let limit = max.min(left);
        // The constant limit makes PostgreSQL expect few rows, and find each by its key.
        let rows = format!(
            "SELECT {key} FROM ( \
               SELECT {key} FROM {table} WHERE {is_of_posts} AND {condition} LIMIT {max}) AS first \
             LIMIT $2"
        );
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN ({}) RETURNING {user} AS user_id, post_id",
            locked_sql(engine, table, key, &rows)
        );
        let values = [engine.bind_ids(posts.iter().copied()), limit.into()];
        let statement = services.db.statement(&sql, values);
        let rows = DeletedRow::find_by_statement(statement).all(transaction).await?;
        for row in &rows {
            let [likes, reposts] = counts.entry(row.post_id).or_default();
            match kind {
                Kind::Like => *likes += 1,
                Kind::Repost => *reposts += 1,
                Kind::Uncounted => {}
            }
        }
        if kind == Kind::Repost {
            let change = |row: &DeletedRow| Change {
                kind: event::Kind::Unreposted,
                actor: row.user_id,
                object: row.post_id,
            };
            deleted.reposts = rows.iter().map(change).collect();
        }
        let number = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        left -= number;
        if number >= limit {
            is_complete = false;
            break;
        }
    }
    counts.retain(|_, count| *count != [0, 0]);
    deleted.is_complete = is_complete;
    deleted.are_counts_changed = !counts.is_empty();
    if !is_complete && deleted.are_counts_changed {
        subtract(services, transaction, &counts).await?;
    }
    Ok(deleted)
}

/// Subtracts numbers of likes and of reposts from the counts of posts.
async fn subtract(
    services: &Services,
    transaction: &DatabaseTransaction,
    counts: &BTreeMap<i64, [i32; 2]>,
) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE post SET likes_count = post.likes_count - deleted.likes, \
           reposts_count = post.reposts_count - deleted.reposts \
         FROM (SELECT CAST(entry.value ->> 0 AS bigint) AS id, \
             CAST(entry.value ->> 1 AS integer) AS likes, \
             CAST(entry.value ->> 2 AS integer) AS reposts FROM {}) AS deleted \
         WHERE post.id = deleted.id",
        services.db.engine().unnest_json("entry")
    );
    let rows =
        counts.iter().map(|(post, [likes, reposts])| serde_json::json!([post, likes, reposts]));
    let rows = rows.collect::<serde_json::Value>().to_string();
    transaction.execute_raw(services.db.statement(&sql, [rows.into()])).await.map(drop)
}
