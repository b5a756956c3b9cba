//! The statements of home timelines, for each engine.
//!
//! The merge and the scan are described in `timeline`. Their parameters are the owners (`$1`), the
//! two [`PageRequest::bounds`](crate::pagination::PageRequest::bounds) (`$2`, `$3`) and the
//! [`PageRequest::limit`](crate::pagination::PageRequest::limit) (`$4`). Then come those of the
//! [`AuthorFilter`].

use entity::user::{self, visible_to_sql};
use sea_orm::Value;

use crate::clock;
use crate::database::Engine;
use crate::pagination::Direction;

/// The first parameter of the filter in the statements of pages.
const PAGE_FILTER: u8 = 5;

/// The authors whose posts a timeline shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuthorFilter {
    /// Leaves out the users whom the owner mutes.
    pub without_muted: bool,
    /// Leaves out the timelines and authors that this viewer may not see.
    ///
    /// 0 for an anonymous client. `None` if the viewer is the owner, who may see all of them.
    pub viewer: Option<i64>,
}

impl AuthorFilter {
    /// The values of its parameters: the current time and the viewer, if it needs them.
    pub fn values(self) -> Vec<Value> {
        let now = self.without_muted.then(|| clock::now().into());
        now.into_iter().chain(self.viewer.map(Value::from)).collect()
    }

    /// The condition on the followed user `author` of the owner `owner`.
    ///
    /// It begins with AND, or is empty. `first` is the first parameter of the filter.
    fn author_sql(self, owner: &str, author: &str, first: u8) -> String {
        // A value and not EXISTS, which PostgreSQL would make a join of all sources and mutes.
        let is_not_muted = format!(
            "AND (SELECT 1 FROM mute WHERE muter_id = {owner} \
             AND muted_id = {author} AND (expires_at IS NULL OR expires_at > ${first})) IS NULL"
        );
        let is_not_muted = if self.without_muted { &*is_not_muted } else { "" };
        format!("{is_not_muted} {}", self.visible_sql(author, first))
    }

    /// The condition that the viewer may see `user`. It begins with AND, or is empty.
    fn visible_sql(self, user: &str, first: u8) -> String {
        let viewer = format!("${}", first + u8::from(self.without_muted));
        self.viewer.map_or(String::new(), |_| format!("AND {}", visible_to_sql(user, &viewer)))
    }

    /// The condition on the followed user `author` in the statements of pages.
    fn page_sql(self, author: &str) -> String {
        self.author_sql("owner.value", author, PAGE_FILTER)
    }

    /// The condition on the owner in the statements of pages.
    fn owner_sql(self) -> String {
        self.visible_sql("owner.value", PAGE_FILTER)
    }
}

/// The authors whose posts a timeline shows: the owner and followed users.
///
/// `filter` is a condition on `followed_id`.
fn sources(owner: &str, filter: &str) -> String {
    format!(
        "(SELECT {owner} AS author UNION ALL SELECT followed_id FROM follow \
         WHERE follower_id = {owner} {filter}) AS source"
    )
}

/// The statement of the k-way merge.
///
/// Its last parts look for one post on the far side of each cursor. Without a cursor their
/// condition is constantly false, and nothing is read.
pub fn merge_heads(engine: Engine, filter: AuthorFilter, direction: Direction) -> String {
    match engine {
        Engine::Sqlite => sqlite_rows(filter, &sqlite_merge(filter, direction)),
        Engine::Postgres => postgres_rows(filter, &postgres_merge(filter, direction)),
    }
}

/// The statement of the scan of at most `window` posts.
///
/// Its page may be incomplete if it has fewer rows than the limit.
pub fn scan_recent(
    engine: Engine,
    filter: AuthorFilter,
    direction: Direction,
    window: u32,
) -> String {
    let (order, shown) = (order(direction), filter.page_sql("author"));
    let recent = format!(
        "(SELECT author_id AS author, id FROM post WHERE id < $2 AND id > $3 \
         ORDER BY id {order} LIMIT {window}) AS recent \
         WHERE author = owner.value OR (SELECT true FROM follow \
           WHERE follower_id = owner.value AND followed_id = author {shown})"
    );
    match engine {
        // The rows come in the order of the scan. With ORDER BY, SQLite would always scan to the
        // end.
        Engine::Sqlite => sqlite_rows(filter, &format!("SELECT id FROM {recent} LIMIT $4")),
        Engine::Postgres => postgres_rows(
            filter,
            &format!("SELECT author, id FROM {recent} ORDER BY id {order} LIMIT $4"),
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

/// The columns of a post beyond those of its author.
///
/// The time of creation is part of the id.
pub const COLUMNS: &str = "post.id AS post_id, post.body, post.edited_at, post.in_reply_to_id, \
    post.likes_count, post.replies_count, post.reposts_count";

/// The statement for the rows of a page on SQLite, whose post ids `page` selects.
///
/// It adds the nearest rows beyond the cursors.
fn sqlite_rows(filter: AuthorFilter, page: &str) -> String {
    let newest = i64::MAX;
    let (summary, shown) = (user::SUMMARY_COLUMNS, filter.page_sql("followed_id"));
    let is_visible = filter.owner_sql();
    format!(
        "SELECT {summary}, owner.value AS owner, {COLUMNS} \
         FROM json_each($1) AS owner CROSS JOIN post CROSS JOIN \"user\" \
         WHERE \"user\".id = post.author_id {is_visible} AND post.id IN ( \
           SELECT id FROM ({page}) AS page \
           UNION ALL SELECT id FROM (SELECT id FROM post \
             WHERE $2 < {newest} AND author_id = owner.value AND id >= $2 LIMIT 1) AS own_newer \
           UNION ALL SELECT id FROM (SELECT beyond.id FROM follow CROSS JOIN post AS beyond \
             WHERE $2 < {newest} AND follower_id = owner.value \
             AND beyond.author_id = followed_id AND beyond.id >= $2 {shown} LIMIT 1) AS newer \
           UNION ALL SELECT id FROM (SELECT id FROM post \
             WHERE $3 > 0 AND author_id = owner.value AND id <= $3 LIMIT 1) AS own_older \
           UNION ALL SELECT id FROM (SELECT beyond.id FROM follow CROSS JOIN post AS beyond \
             WHERE $3 > 0 AND follower_id = owner.value \
             AND beyond.author_id = followed_id AND beyond.id <= $3 {shown} LIMIT 1) AS older)"
    )
}

/// The merge on SQLite, which has no LATERAL.
///
/// A correlated `max` or `min` is its fastest index probe, and `INDEXED BY` keeps the merge from
/// reading the table.
fn sqlite_merge(filter: AuthorFilter, direction: Direction) -> String {
    let (order, shown) = (order(direction), filter.page_sql("followed_id"));
    let (best, worst, inside, unbounded) = match direction {
        Direction::Forward => ("max", "min", ">=", "$3"),
        Direction::Backward => ("min", "max", "<=", "$2"),
    };
    format!(
        "WITH probe (author, best) AS MATERIALIZED ( \
           SELECT owner.value, (SELECT {best}(id) FROM post \
             WHERE author_id = owner.value AND id < $2 AND id > $3) \
           UNION ALL SELECT followed_id, (SELECT {best}(id) FROM post \
             WHERE author_id = followed_id AND id < $2 AND id > $3) \
           FROM follow WHERE follower_id = owner.value {shown}), \
         head (author, bound) AS ( \
           SELECT author, CASE WHEN count(best) OVER () = $4 \
             THEN {worst}(best) OVER () ELSE {unbounded} END \
           FROM (SELECT * FROM probe ORDER BY best {order} NULLS LAST LIMIT $4) AS nearest) \
         SELECT page.id FROM head CROSS JOIN post AS page INDEXED BY post_author \
         WHERE page.author_id = head.author AND page.id IN ( \
           SELECT id FROM post WHERE author_id = head.author \
           AND id < $2 AND id > $3 AND id {inside} head.bound \
           ORDER BY id {order} LIMIT $4) \
         ORDER BY page.id {order} LIMIT $4"
    )
}

/// The statement for the rows of a page on PostgreSQL.
///
/// `page` selects their authors and ids. The statement adds the nearest rows beyond the cursors.
///
/// Probes compare pairs, which only the index `post_author` can order. Given `author_id =` and
/// `ORDER BY id`, the planner reads the posts of all authors by id if few authors have posts: it
/// expects to find a match soon, and a source without posts has none.
fn postgres_rows(filter: AuthorFilter, page: &str) -> String {
    let newest = i64::MAX;
    let (summary, is_visible) = (user::SUMMARY_COLUMNS, filter.owner_sql());
    let sources = sources("owner.value", &filter.page_sql("followed_id"));
    format!(
        "SELECT {summary}, owner.value AS owner, {COLUMNS} \
         FROM (SELECT value FROM unnest($1::bigint[]) AS owner (value) WHERE true {is_visible}) \
           AS owner CROSS JOIN LATERAL ( \
           SELECT author, id FROM ({page}) AS page \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {sources} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE (author_id, id) >= (source.author, $2) \
               AND (author_id, id) < (source.author, {newest}) \
               ORDER BY author_id, id LIMIT 1) AS beyond \
             WHERE $2 < {newest} LIMIT 1) AS newer \
           UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM {sources} \
             CROSS JOIN LATERAL (SELECT id FROM post \
               WHERE (author_id, id) <= (source.author, $3) \
               AND (author_id, id) > (source.author, 0) \
               ORDER BY author_id DESC, id DESC LIMIT 1) AS beyond \
             WHERE $3 > 0 LIMIT 1) AS older \
         ) AS entry JOIN post ON post.author_id = entry.author AND post.id = entry.id \
         JOIN \"user\" ON \"user\".id = entry.author"
    )
}

/// The merge on PostgreSQL, with one LATERAL index probe per source.
fn postgres_merge(filter: AuthorFilter, direction: Direction) -> String {
    let order = order(direction);
    let sources = sources("owner.value", &filter.page_sql("followed_id"));
    let (worst, inside, unbounded) = match direction {
        Direction::Forward => ("min", ">=", "$3"),
        Direction::Backward => ("max", "<=", "$2"),
    };
    format!(
        "WITH head AS MATERIALIZED ( \
           SELECT source.author, nearest.id AS best FROM {sources} \
           CROSS JOIN LATERAL (SELECT id FROM post \
             WHERE (author_id, id) < (source.author, $2) \
             AND (author_id, id) > (source.author, $3) \
             ORDER BY author_id {order}, id {order} LIMIT 1) AS nearest \
           ORDER BY nearest.id {order} LIMIT $4) \
         SELECT head.author, page.id FROM head CROSS JOIN LATERAL (SELECT id FROM post \
           WHERE author_id = head.author AND id < $2 AND id > $3 \
           AND (author_id, id) < (head.author, $2) AND (author_id, id) > (head.author, $3) \
           AND id {inside} ( \
             SELECT CASE WHEN count(*) = $4 THEN {worst}(best) ELSE {unbounded} END FROM head) \
           ORDER BY id {order} LIMIT $4) AS page \
         ORDER BY page.id {order} LIMIT $4"
    )
}

/// The statement that counts newer entries, with one index probe per source.
///
/// `$1` is a JSON list of pairs of an owner and a post. At most `$2` entries are counted per pair.
pub fn newer_count(engine: Engine, filter: AuthorFilter) -> String {
    const NEWER_FILTER: u8 = 3;
    let owner = "CAST(newer.value ->> 0 AS bigint)";
    let sources = sources(owner, &filter.author_sql(owner, "followed_id", NEWER_FILTER));
    let is_visible = filter.visible_sql(owner, NEWER_FILTER);
    let (than, newest) = ("CAST(newer.value ->> 1 AS bigint)", i64::MAX);
    let posts = match engine {
        Engine::Sqlite => {
            format!("{sources} CROSS JOIN post WHERE author_id = source.author AND id > {than}")
        }
        Engine::Postgres => format!(
            "{sources} CROSS JOIN LATERAL (SELECT id FROM post \
             WHERE (author_id, id) > (source.author, {than}) \
             AND (author_id, id) < (source.author, {newest}) \
             ORDER BY author_id, id LIMIT $2) AS post"
        ),
    };
    format!(
        "SELECT newer.key AS place, \
           (SELECT count(*) FROM (SELECT 1 FROM {posts} LIMIT $2) AS found) AS count \
         FROM {} WHERE true {is_visible}",
        engine.unnest_json("newer")
    )
}
