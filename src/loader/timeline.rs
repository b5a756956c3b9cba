//! The home timeline: own posts and posts of followed users, computed when it is read, in one
//! statement for any number of owners.
//!
//! The newest k posts come from at most k authors, and each of those is among the k sources whose
//! newest post is newest: the heads. So one index probe per source finds the heads, and only the
//! heads' posts are read, at most k each, none older than the oldest head when there are k of them.
//! Ids alone go through the merge; the k winners are joined to their rows last.

use std::collections::HashMap;
use std::sync::Arc;

use entity::post;
use sea_orm::{FromQueryResult, QueryResult};

use super::{Batch, PageOf, pages};
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::page::{Direction, Slice};

/// Keyed by the owner of the timeline. The value's posts are in its order.
pub struct Timelines(pub(super) Snapshot);

struct Entry {
    owner: i64,
    post: post::Model,
}

impl FromQueryResult for Entry {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        Ok(Self {
            owner: row.try_get(prefix, "owner")?,
            post: post::Model::from_query_result(row, prefix)?,
        })
    }
}

impl Batch for Timelines {
    type Key = PageOf;
    type Value = Arc<Slice<post::Model>>;

    async fn load(&self, keys: &[PageOf]) -> Result<HashMap<PageOf, Self::Value>, Error> {
        pages(
            &self.0,
            keys,
            sql,
            |page, entries: Vec<Entry>| {
                let posts = entries.into_iter().map(|entry| entry.post).collect();
                Arc::new(Slice::new(page, posts, |post: &post::Model| post.id))
            },
            |entry| entry.owner,
        )
        .await
    }
}

/// The statement, of four parameters: the owners, the [`Page::bounds`](crate::page::Page::bounds) and
/// the [`Page::limit`](crate::page::Page::limit).
///
/// The last parts look for one post on the far side of each cursor; without a cursor their
/// condition is false before anything is looked at.
pub fn sql(engine: Engine, direction: Direction) -> String {
    match engine {
        Engine::Sqlite => sqlite(direction),
        Engine::Postgres => postgres(direction),
    }
}

/// `INDEXED BY` keeps the merge off the table; a correlated `max` is what this engine does best.
fn sqlite(direction: Direction) -> String {
    let (best, order, worst, inside, unbounded) = match direction {
        Direction::Forward => ("max", "DESC", "min", ">=", "$3"),
        Direction::Backward => ("min", "ASC", "max", "<=", "$2"),
    };
    let newest = i64::MAX;
    format!(
        "SELECT owner.value AS owner, post.* \
         FROM json_each($1) AS owner CROSS JOIN post WHERE post.id IN ( \
           WITH probe (author, best) AS MATERIALIZED ( \
             SELECT owner.value, (SELECT {best}(id) FROM post \
               WHERE author_id = owner.value AND id < $2 AND id > $3) \
             UNION ALL SELECT followed_id, (SELECT {best}(id) FROM post \
               WHERE author_id = followed_id AND id < $2 AND id > $3) \
             FROM follow WHERE follower_id = owner.value), \
           head (author, bound) AS ( \
             SELECT author, CASE WHEN count(best) OVER () = $4 \
               THEN {worst}(best) OVER () ELSE {unbounded} END \
             FROM (SELECT * FROM probe ORDER BY best {order} NULLS LAST LIMIT $4) AS nearest) \
           SELECT id FROM ( \
             SELECT page.id FROM head CROSS JOIN post AS page INDEXED BY post_author \
             WHERE page.author_id = head.author AND page.id IN ( \
               SELECT id FROM post WHERE author_id = head.author \
               AND id < $2 AND id > $3 AND id {inside} head.bound \
               ORDER BY id {order} LIMIT $4) \
             ORDER BY page.id {order} LIMIT $4) AS page \
           UNION ALL SELECT id FROM (SELECT id FROM post \
             WHERE $2 < {newest} AND author_id = owner.value AND id >= $2 LIMIT 1) AS own_newer \
           UNION ALL SELECT id FROM (SELECT beyond.id FROM follow CROSS JOIN post AS beyond \
             WHERE $2 < {newest} AND follower_id = owner.value \
             AND beyond.author_id = followed_id AND beyond.id >= $2 LIMIT 1) AS newer \
           UNION ALL SELECT id FROM (SELECT id FROM post \
             WHERE $3 > 0 AND author_id = owner.value AND id <= $3 LIMIT 1) AS own_older \
           UNION ALL SELECT id FROM (SELECT beyond.id FROM follow CROSS JOIN post AS beyond \
             WHERE $3 > 0 AND follower_id = owner.value \
             AND beyond.author_id = followed_id AND beyond.id <= $3 LIMIT 1) AS older)"
    )
}

/// One probe for each source, as LATERAL; the author goes through the merge with the id.
fn postgres(direction: Direction) -> String {
    let (order, worst, inside, unbounded) = match direction {
        Direction::Forward => ("DESC", "min", ">=", "$3"),
        Direction::Backward => ("ASC", "max", "<=", "$2"),
    };
    let newest = i64::MAX;
    let sources = "(SELECT owner.value AS author \
        UNION ALL SELECT followed_id FROM follow WHERE follower_id = owner.value) AS source";
    format!(
        "SELECT owner.value AS owner, post.* \
         FROM unnest($1::bigint[]) AS owner (value) CROSS JOIN LATERAL ( \
           WITH head AS MATERIALIZED ( \
             SELECT source.author, nearest.id AS best FROM {sources} \
             CROSS JOIN LATERAL (SELECT id FROM post WHERE author_id = source.author \
               AND id < $2 AND id > $3 ORDER BY id {order} LIMIT 1) AS nearest \
             ORDER BY nearest.id {order} LIMIT $4) \
           SELECT author, id FROM ( \
             SELECT head.author, page.id FROM head CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE author_id = head.author AND id < $2 AND id > $3 AND id {inside} ( \
                 SELECT CASE WHEN count(*) = $4 THEN {worst}(best) ELSE {unbounded} END FROM head) \
               ORDER BY id {order} LIMIT $4) AS page \
             ORDER BY page.id {order} LIMIT $4) AS page \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {sources} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE author_id = source.author AND id >= $2 LIMIT 1) AS beyond \
             WHERE $2 < {newest} LIMIT 1) AS newer \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {sources} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE author_id = source.author AND id <= $3 LIMIT 1) AS beyond \
             WHERE $3 > 0 LIMIT 1) AS older \
         ) AS entry JOIN post ON post.author_id = entry.author AND post.id = entry.id"
    )
}
