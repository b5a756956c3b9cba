//! The statements of home timelines, for each engine.
//!
//! The merge and the scan are described in `timeline`. Their parameters are the owners (`$1`), the
//! two [`PageRequest::bounds`](crate::pagination::PageRequest::bounds) (`$2`, `$3`) and the
//! [`PageRequest::limit`](crate::pagination::PageRequest::limit) (`$4`). Then come those of the
//! [`ItemFilter`].

use entity::user;

use super::timeline_filter::ItemFilter;
use crate::database::Engine;
use crate::pagination::Direction;

/// The first parameter of the filter in the statements of pages.
const PAGE_FILTER: u8 = 5;
/// The owner in the statements of pages.
const OWNER: &str = "owner.value";

/// The conditions of an [`ItemFilter`] in the statements of pages.
struct Conditions {
    /// On the owner.
    owner: String,
    /// On the followed user `followed_id`.
    source: String,
    /// On the feed item `item`.
    item: String,
    /// The table `source`.
    sources: String,
    /// Whether the owner is a source.
    include_own: bool,
}

impl From<ItemFilter> for Conditions {
    fn from(filter: ItemFilter) -> Self {
        Self {
            owner: filter.visible_sql(OWNER, PAGE_FILTER),
            source: filter.source_sql(OWNER, "followed_id", PAGE_FILTER),
            item: filter.item_sql(OWNER, PAGE_FILTER),
            sources: filter.sources_sql(OWNER, PAGE_FILTER),
            include_own: filter.requested.include_own,
        }
    }
}

impl Conditions {
    /// `sql` if the owner is a source, otherwise nothing.
    fn if_own<'a>(&self, sql: &'a str) -> &'a str {
        if self.include_own { sql } else { "" }
    }
}

/// The statement of the k-way merge.
///
/// Its last parts look for one item on the far side of each cursor. Without a cursor their
/// condition is constantly false, and nothing is read.
pub fn merge_heads(engine: Engine, filter: ItemFilter, direction: Direction) -> String {
    let conditions = Conditions::from(filter);
    match engine {
        Engine::Sqlite => sqlite_rows(&conditions, &sqlite_merge(&conditions, direction)),
        Engine::Postgres => postgres_rows(&conditions, &postgres_merge(&conditions, direction)),
    }
}

/// The statement of the scan of at most `window` items.
///
/// Its page may be incomplete if it has fewer rows than the limit.
pub fn scan_recent(
    engine: Engine,
    filter: ItemFilter,
    direction: Direction,
    window: u32,
) -> String {
    let (order, conditions) = (order(direction), Conditions::from(filter));
    let is_source = filter.source_sql(OWNER, "item.actor_id", PAGE_FILTER);
    let is_own = conditions.if_own("item.actor_id = owner.value OR");
    let item = &conditions.item;
    let recent = format!(
        "(SELECT * FROM feed_item WHERE id < $2 AND id > $3 \
         ORDER BY id {order} LIMIT {window}) AS item \
         WHERE ({is_own} (SELECT true FROM follow \
           WHERE follower_id = owner.value AND followed_id = item.actor_id {is_source})) {item}"
    );
    match engine {
        // The rows come in the order of the scan. With ORDER BY, SQLite would always scan to the
        // end.
        Engine::Sqlite => {
            sqlite_rows(&conditions, &format!("SELECT item.id FROM {recent} LIMIT $4"))
        }
        Engine::Postgres => postgres_rows(
            &conditions,
            &format!(
                "SELECT item.actor_id AS actor, item.id FROM {recent} ORDER BY id {order} LIMIT $4"
            ),
        ),
    }
}

/// The SQL order in which a page is read.
fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    }
}

/// The columns of a feed item `item` and its post beyond those of the author.
///
/// The times of both are part of their ids.
pub const COLUMNS: &str = "item.id AS item_id, item.kind, item.actor_id, \
    post.id AS post_id, post.body, post.edited_at, post.in_reply_to_id, \
    post.likes_count, post.replies_count, post.reposts_count";

/// The statement for the rows of a page on SQLite, whose item ids `page` selects.
///
/// It adds the nearest rows beyond the cursors.
fn sqlite_rows(conditions: &Conditions, page: &str) -> String {
    let (newest, summary) = (i64::MAX, user::SUMMARY_COLUMNS);
    let Conditions { owner: is_visible, source: is_source, item: is_shown, .. } = conditions;
    let beyond = |has_cursor: &str, range: &str| {
        let own = format!(
            "UNION ALL SELECT id FROM (SELECT item.id FROM feed_item AS item \
             WHERE {has_cursor} AND actor_id = owner.value AND item.{range} {is_shown} \
             LIMIT 1) AS own"
        );
        let own = conditions.if_own(&own);
        format!(
            "{own} UNION ALL SELECT id FROM (SELECT item.id FROM follow \
             CROSS JOIN feed_item AS item \
             WHERE {has_cursor} AND follower_id = owner.value AND actor_id = followed_id \
             AND item.{range} {is_source} {is_shown} LIMIT 1) AS followed"
        )
    };
    let newer = beyond(&format!("$2 < {newest}"), "id >= $2");
    let older = beyond("$3 > 0", "id <= $3");
    format!(
        "SELECT {summary}, owner.value AS owner, {COLUMNS} \
         FROM json_each($1) AS owner CROSS JOIN feed_item AS item CROSS JOIN post \
         CROSS JOIN \"user\" \
         WHERE post.id = item.post_id AND \"user\".id = post.author_id {is_visible} \
         AND item.id IN (SELECT id FROM ({page}) AS page {newer} {older})"
    )
}

/// The merge on SQLite, which has no LATERAL.
///
/// A correlated `max` or `min` is its fastest index probe.
fn sqlite_merge(conditions: &Conditions, direction: Direction) -> String {
    let order = order(direction);
    let (best, worst, inside, unbounded) = match direction {
        Direction::Forward => ("max", "min", ">=", "$3"),
        Direction::Backward => ("min", "max", "<=", "$2"),
    };
    let Conditions { source: is_source, item: is_shown, .. } = conditions;
    let probe = |actor: &str| {
        format!(
            "(SELECT {best}(item.id) FROM feed_item AS item \
             WHERE actor_id = {actor} AND item.id < $2 AND item.id > $3 {is_shown})"
        )
    };
    let own = format!("SELECT owner.value, {} UNION ALL", probe(OWNER));
    let (own, followed) = (conditions.if_own(&own), probe("followed_id"));
    format!(
        "WITH probe (actor, best) AS MATERIALIZED ( \
           {own} SELECT followed_id, {followed} \
           FROM follow WHERE follower_id = owner.value {is_source}), \
         head (actor, bound) AS ( \
           SELECT actor, CASE WHEN count(best) OVER () = $4 \
             THEN {worst}(best) OVER () ELSE {unbounded} END \
           FROM (SELECT * FROM probe ORDER BY best {order} NULLS LAST LIMIT $4) AS nearest) \
         SELECT page.id FROM head CROSS JOIN feed_item AS page \
         WHERE page.actor_id = head.actor AND page.id IN ( \
           SELECT item.id FROM feed_item AS item WHERE item.actor_id = head.actor \
           AND item.id < $2 AND item.id > $3 AND item.id {inside} head.bound {is_shown} \
           ORDER BY item.id {order} LIMIT $4) \
         ORDER BY page.id {order} LIMIT $4"
    )
}

/// The statement for the rows of a page on PostgreSQL.
///
/// `page` selects their actors and ids. The statement adds the nearest rows beyond the cursors.
///
/// Probes compare pairs, which only the primary key can order. Given `actor_id =` and
/// `ORDER BY id`, the planner reads the items of all actors by id if few actors have items: it
/// expects to find a match soon, and a source without items has none.
fn postgres_rows(conditions: &Conditions, page: &str) -> String {
    let (newest, summary) = (i64::MAX, user::SUMMARY_COLUMNS);
    let Conditions { owner: is_visible, item: is_shown, sources, .. } = conditions;
    format!(
        "SELECT {summary}, owner.value AS owner, {COLUMNS} \
         FROM (SELECT value FROM unnest($1::bigint[]) AS owner (value) WHERE true {is_visible}) \
           AS owner CROSS JOIN LATERAL ( \
           SELECT actor, id FROM ({page}) AS page \
           UNION ALL SELECT actor, id FROM (SELECT source.actor, beyond.id FROM {sources} \
             CROSS JOIN LATERAL (SELECT id FROM feed_item AS item \
               WHERE (actor_id, id) >= (source.actor, $2) \
               AND (actor_id, id) < (source.actor, {newest}) {is_shown} \
               ORDER BY actor_id, id LIMIT 1) AS beyond \
             WHERE $2 < {newest} LIMIT 1) AS newer \
           UNION ALL SELECT actor, id FROM (SELECT source.actor, beyond.id FROM {sources} \
             CROSS JOIN LATERAL (SELECT id FROM feed_item AS item \
               WHERE (actor_id, id) <= (source.actor, $3) \
               AND (actor_id, id) > (source.actor, 0) {is_shown} \
               ORDER BY actor_id DESC, id DESC LIMIT 1) AS beyond \
             WHERE $3 > 0 LIMIT 1) AS older \
         ) AS entry JOIN feed_item AS item ON item.actor_id = entry.actor AND item.id = entry.id \
         JOIN post ON post.id = item.post_id JOIN \"user\" ON \"user\".id = post.author_id"
    )
}

/// The merge on PostgreSQL, with one LATERAL index probe per source.
fn postgres_merge(conditions: &Conditions, direction: Direction) -> String {
    let order = order(direction);
    let (worst, inside, unbounded) = match direction {
        Direction::Forward => ("min", ">=", "$3"),
        Direction::Backward => ("max", "<=", "$2"),
    };
    let Conditions { item: is_shown, sources, .. } = conditions;
    format!(
        "WITH head AS MATERIALIZED ( \
           SELECT source.actor, nearest.id AS best FROM {sources} \
           CROSS JOIN LATERAL (SELECT id FROM feed_item AS item \
             WHERE (actor_id, id) < (source.actor, $2) \
             AND (actor_id, id) > (source.actor, $3) {is_shown} \
             ORDER BY actor_id {order}, id {order} LIMIT 1) AS nearest \
           ORDER BY nearest.id {order} LIMIT $4) \
         SELECT head.actor, page.id FROM head CROSS JOIN LATERAL (SELECT id FROM feed_item AS item \
           WHERE actor_id = head.actor AND id < $2 AND id > $3 \
           AND (actor_id, id) < (head.actor, $2) AND (actor_id, id) > (head.actor, $3) \
           AND id {inside} ( \
             SELECT CASE WHEN count(*) = $4 THEN {worst}(best) ELSE {unbounded} END FROM head) \
           {is_shown} ORDER BY id {order} LIMIT $4) AS page \
         ORDER BY page.id {order} LIMIT $4"
    )
}

/// The statement that counts newer entries, with one index probe per source.
///
/// `$1` is a JSON list of pairs of an owner and an item. At most `$2` entries are counted per pair.
pub fn newer_count(engine: Engine, filter: ItemFilter) -> String {
    const NEWER_FILTER: u8 = 3;
    let owner = "CAST(newer.value ->> 0 AS bigint)";
    let sources = filter.sources_sql(owner, NEWER_FILTER);
    let is_shown = filter.item_sql(owner, NEWER_FILTER);
    let is_visible = filter.visible_sql(owner, NEWER_FILTER);
    let (than, newest) = ("CAST(newer.value ->> 1 AS bigint)", i64::MAX);
    let items = match engine {
        Engine::Sqlite => format!(
            "{sources} CROSS JOIN feed_item AS item \
             WHERE actor_id = source.actor AND item.id > {than} {is_shown}"
        ),
        Engine::Postgres => format!(
            "{sources} CROSS JOIN LATERAL (SELECT id FROM feed_item AS item \
             WHERE (actor_id, id) > (source.actor, {than}) \
             AND (actor_id, id) < (source.actor, {newest}) {is_shown} \
             ORDER BY actor_id, id LIMIT $2) AS item"
        ),
    };
    format!(
        "SELECT newer.key AS place, \
           (SELECT count(*) FROM (SELECT 1 FROM {items} LIMIT $2) AS found) AS count \
         FROM {} WHERE true {is_visible}",
        engine.unnest_json("newer")
    )
}
