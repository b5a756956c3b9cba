//! What holds for the rows of each table, beyond references and counts.
//!
//! Each invariant is a condition of SQL that selects the rows which break it, and the statement
//! that repairs these rows, if there is one.

use entity::TABLES;
use entity::feed_item::IS_REPOST;

use super::notifications;
use crate::clock;
use crate::command::bulk::REQUEST_OF_FOLLOW;
use crate::database::{Engine, SearchIndex};
use crate::domain::validation::{ABOUT_ME, BODY, DISPLAY_NAME, MAX_EMAIL_BYTES, USERNAME};

/// A check of rows.
pub struct Check {
    pub name: &'static str,
    /// Selects a text as `line` for each problem, and their number as `total`.
    pub sql: String,
    /// Repairs the rows. `None` if only the operator knows what is right.
    pub repair: Option<String>,
}

/// The repair of rows that break an invariant.
#[derive(Clone, Copy)]
pub(super) enum Repair {
    None,
    Delete,
    /// Sets a column to an expression.
    Set(&'static str),
}

/// All invariants of rows.
pub fn all(engine: Engine) -> Vec<Check> {
    let mut checks = vec![future_ids(), empty_outbox()];
    if engine == Engine::Sqlite {
        checks.push(missing_events());
    }
    checks.extend(DUPLICATES.map(duplicates));
    let blocked = despite_block("follower_id", "followed_id");
    checks.push(rows("users follow despite a block", "follow", &blocked, Repair::Delete));
    let blocked = despite_block("requester_id", "target_id");
    checks.push(rows("requests exist despite a block", "follow_request", &blocked, Repair::Delete));
    let (name, table) = ("requests exist despite a follow", "follow_request");
    checks.push(rows(name, table, REQUEST_OF_FOLLOW, Repair::Delete));
    let is_public = Repair::Set("is_public = NOT is_public");
    checks.push(rows("posts have the wrong visibility", "post", WRONG_VISIBILITY, is_public));
    checks.extend(feed_items());
    // After the repairs of their causes.
    checks.extend(notifications::all());
    checks.extend(SearchIndex::ALL.into_iter().flat_map(|index| search_index(engine, index)));
    checks.extend(times(engine));
    checks.extend(texts(engine));
    checks
}

/// Checks that a search index has exactly the rows of its table.
///
/// A repair, like each bulk write, indexes the missing rows at its end.
fn search_index(engine: Engine, index: SearchIndex) -> [Check; 2] {
    let name = "the search index is incomplete";
    let missing = rows(name, index.source(), &index.is_missing_sql(engine), Repair::None);
    let (table, key, source, ids) =
        (index.table(), index.key(engine), index.source(), index.ids(engine));
    let surplus = format!(
        r#"FROM {ids} AS indexed
        WHERE NOT EXISTS (SELECT 1 FROM "{source}" AS source WHERE source.id = indexed.id)"#
    );
    let sql = format!(
        "SELECT '{source} ' || indexed.id AS line, count(*) OVER () AS total {surplus}
        ORDER BY indexed.id"
    );
    let repair = Some(format!("DELETE FROM {table} WHERE {key} IN (SELECT indexed.id {surplus})"));
    [missing, Check { name: "the search index has deleted rows", sql, repair }]
}

/// Checks of feed items: one for each post, and at most one repost by a user.
fn feed_items() -> Vec<Check> {
    let missing = "NOT EXISTS (SELECT 1 FROM feed_item AS item
        WHERE item.actor_id = post.author_id AND item.id = post.id AND item.post_id = post.id
        AND item.kind = CASE WHEN post.in_reply_to_id IS NULL THEN 0 ELSE 1 END)";
    let mut posts = rows("posts are missing in timelines", "post", missing, Repair::None);
    posts.repair = Some(format!(
        "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
        SELECT author_id, id, id,
            (SELECT parent.author_id FROM post AS parent WHERE parent.id = post.in_reply_to_id),
            CASE WHEN in_reply_to_id IS NULL THEN 0 ELSE 1 END
        FROM post WHERE {missing}"
    ));
    let wrong = format!(
        "NOT EXISTS (SELECT 1 FROM post WHERE post.id = feed_item.post_id
        AND ({IS_REPOST} OR (post.id = feed_item.id AND author_id = actor_id
            AND kind = CASE WHEN in_reply_to_id IS NULL THEN 0 ELSE 1 END)))"
    );
    let twice = format!(
        "{IS_REPOST} AND EXISTS (SELECT 1 FROM feed_item AS first WHERE first.{IS_REPOST}
        AND first.post_id = feed_item.post_id AND first.actor_id = feed_item.actor_id
        AND first.id < feed_item.id)"
    );
    let subject = format!(
        "{IS_REPOST} AND EXISTS (SELECT 1 FROM post WHERE post.id = post_id
        AND (subject_id IS NULL OR subject_id <> author_id))"
    );
    let author = Repair::Set("subject_id = (SELECT author_id FROM post WHERE post.id = post_id)");
    vec![
        rows("feed items are wrong", "feed_item", &wrong, Repair::Delete),
        posts,
        rows("posts are reposted twice", "feed_item", &twice, Repair::Delete),
        rows("reposts have the wrong author", "feed_item", &subject, author),
    ]
}

/// The check that no row of `table` satisfies `condition`.
pub(super) fn rows(name: &'static str, table: &str, condition: &str, repair: Repair) -> Check {
    let key = if table == "event" { "txn" } else { "id" };
    let repair = match repair {
        Repair::None => None,
        Repair::Delete => Some(format!(r#"DELETE FROM "{table}" WHERE {condition}"#)),
        Repair::Set(assignment) => {
            Some(format!(r#"UPDATE "{table}" SET {assignment} WHERE {condition}"#))
        }
    };
    let sql = format!(
        r#"SELECT '{table} ' || {key} AS line, count(*) OVER () AS total
        FROM "{table}" WHERE {condition} ORDER BY {key}"#
    );
    Check { name, sql, repair }
}

/// Rows whose id has a time in the future, of a system clock that was ahead.
fn future_ids() -> Check {
    let latest = (clock::now() + clock::MAX_STEP).timestamp_millis();
    let queries = TABLES.iter().map(|table| {
        let (name, from) = (table.name, table.quoted());
        // An id contains milliseconds in its upper 43 bits.
        format!("SELECT '{name} ' || id AS line FROM {from} WHERE id >> 21 > {latest}")
    });
    let all = queries.collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!("SELECT line, count(*) OVER () AS total FROM ({all}) AS future");
    Check { name: "rows are from the future", sql, repair: None }
}

/// The outbox is never empty. A repair commits an event in any case.
fn empty_outbox() -> Check {
    let sql = "SELECT 'the newest event is missing' AS line, CAST(1 AS bigint) AS total \
        WHERE NOT EXISTS (SELECT 1 FROM event)";
    Check { name: "the outbox has no events", sql: sql.to_owned(), repair: None }
}

/// On SQLite the ids of events have no gaps.
///
/// The repair deletes the events before the last gap, so that no client resumes across it.
fn missing_events() -> Check {
    let sql = "SELECT 'events are missing before ' || txn AS line, count(*) OVER () AS total \
        FROM event WHERE txn > (SELECT min(txn) FROM event) \
        AND NOT EXISTS (SELECT 1 FROM event AS previous WHERE previous.txn = event.txn - 1) \
        ORDER BY txn";
    let repair = "DELETE FROM event WHERE txn < (SELECT max(txn) FROM event WHERE NOT EXISTS \
        (SELECT 1 FROM event AS previous WHERE previous.txn = event.txn - 1))";
    let repair = Some(repair.to_owned());
    Check { name: "events are missing", sql: sql.to_owned(), repair }
}

/// Tables, their unique keys, and whether a repair deletes duplicates.
///
/// The oldest row stays.
const DUPLICATES: [(&str, &str, bool); 18] = [
    ("user", "lower(username)", false),
    ("user", "email", false),
    ("session", "token_hash", true),
    ("follow", "follower_id, followed_id", true),
    ("follow_request", "requester_id, target_id", true),
    ("block", "blocker_id, blocked_id", true),
    ("mute", "muter_id, muted_id", true),
    ("dismissal", "user_id, dismissed_id", true),
    // The item of a post is added again.
    ("feed_item", "id", true),
    ("bookmark", "user_id, post_id", true),
    ("like", "user_id, post_id", true),
    ("mention", "post_id, start", true),
    ("notification", "user_id, kind, actor_id, coalesce(post_id, 0)", true),
    ("idempotency_key", "user_id, key", true),
    ("invite", "code_hash", true),
    ("mail_token", "token_hash", true),
    ("identity", "issuer, subject", true),
    ("external_token", "token_hash", true),
];

/// The condition that one of two users blocks the other.
pub(super) fn despite_block(one: &str, other: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM block WHERE (blocker_id = {one} AND blocked_id = {other}) \
         OR (blocker_id = {other} AND blocked_id = {one}))"
    )
}

/// A public post of a protected author, or the opposite.
const WRONG_VISIBILITY: &str = r#"is_public = EXISTS (SELECT 1 FROM "user" AS author
    WHERE author.id = author_id AND author.is_protected)"#;

fn duplicates((table, key, is_deleted): (&str, &str, bool)) -> Check {
    let sql = format!(
        r#"SELECT '{table} ' || min(id) || ' and {table} ' || max(id) || ' have the same {key}'
            AS line, count(*) OVER () AS total
        FROM "{table}" GROUP BY {key} HAVING count(*) > 1 ORDER BY min(id)"#
    );
    // Not `NOT IN` of the rows that stay: PostgreSQL would compare each row with all of them.
    let repair = format!(
        r#"DELETE FROM "{table}" WHERE id IN (SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY {key} ORDER BY id) AS place FROM "{table}"
        ) AS numbered WHERE place > 1)"#
    );
    Check { name: "rows are duplicates", sql, repair: is_deleted.then_some(repair) }
}

/// Times that are malformed, in the future, or differ from the time in the id.
fn times(engine: Engine) -> Vec<Check> {
    let (milliseconds, of_id, at_now) = match engine {
        Engine::Sqlite => (
            "coalesce(CAST(round(unixepoch(created_at, 'subsec') * 1000) AS integer), -1)",
            "created_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', (id >> 21) / 1000.0, 'unixepoch')",
            "at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')",
        ),
        Engine::Postgres => (
            "CAST(round(extract(epoch FROM created_at) * 1000) AS bigint)",
            "created_at = to_timestamp((id >> 21) / 1000.0)",
            "at = CURRENT_TIMESTAMP",
        ),
    };
    let differs = format!("{milliseconds} <> id >> 21");
    let is_wrong = |column: &str| match engine {
        Engine::Sqlite => format!(
            "{column} IS NOT NULL AND coalesce(unixepoch({column}) > unixepoch() + 60, true)"
        ),
        Engine::Postgres => format!("{column} > now() + interval '1 minute'"),
    };
    let mut checks: Vec<Check> = ["user", "session", "post"]
        .map(|table| rows("created_at differs from the id", table, &differs, Repair::Set(of_id)))
        .into();
    for (table, column, set) in [
        ("user", "last_seen_at", "last_seen_at = NULL"),
        ("session", "last_used_at", "last_used_at = created_at"),
        ("post", "edited_at", "edited_at = created_at"),
        ("event", "at", at_now),
    ] {
        checks.push(rows("times are wrong", table, &is_wrong(column), Repair::Set(set)));
    }
    if engine == Engine::Sqlite {
        let is_malformed = "unixepoch(expires_at) IS NULL";
        checks.push(rows("times are wrong", "session", is_malformed, Repair::Delete));
        checks.push(rows("times are wrong", "invite", is_malformed, Repair::Delete));
        checks.push(rows("times are wrong", "mail_token", is_malformed, Repair::Delete));
        checks.push(rows("times are wrong", "external_token", is_malformed, Repair::Delete));
        let is_malformed = "unixepoch(due_at) IS NULL";
        checks.push(rows("times are wrong", "mail", is_malformed, Repair::Delete));
        let is_malformed = "expires_at IS NOT NULL AND unixepoch(expires_at) IS NULL";
        checks.push(rows("times are wrong", "mute", is_malformed, Repair::Delete));
    }
    checks
}

/// Texts and hashes that the service would not have written.
fn texts(engine: Engine) -> Vec<Check> {
    let (min_name, max_name) = (USERNAME.start(), USERNAME.end());
    let username = match engine {
        Engine::Sqlite => format!(
            "username GLOB '*[^A-Za-z0-9_]*' OR length(username) NOT BETWEEN {min_name} AND {max_name}"
        ),
        Engine::Postgres => format!("username !~ '^[A-Za-z0-9_]{{{min_name},{max_name}}}$'"),
    };
    let email = format!(
        "email NOT LIKE '%_@_%._%' OR email LIKE '% %' OR email <> lower(email) \
         OR octet_length(email) > {MAX_EMAIL_BYTES}"
    );
    let length = |column: &str, range: &std::ops::RangeInclusive<usize>| {
        format!("length({column}) NOT BETWEEN {} AND {}", range.start(), range.end())
    };
    let hash = "password_hash NOT LIKE '$argon2id$%'";
    let follows = Repair::Set("follows_made = 0");
    let posts_made = "posts_made < 0 OR post_bytes_made < 0";
    let posts = Repair::Set("posts_made = 0, post_bytes_made = 0");
    let hash_length = "length(token_hash) <> 32";
    // Kinds as in `entity::mail::Kind`. Only a password reset is for an address alone.
    let mail = "kind NOT IN (0, 1, 2) OR (user_id IS NULL AND kind <> 1)";
    vec![
        rows("usernames are not valid", "user", &username, Repair::None),
        rows("e-mail addresses are not valid", "user", &email, Repair::None),
        rows("password hashes are not valid", "user", hash, Repair::None),
        rows("texts are not valid", "user", &length("display_name", &DISPLAY_NAME), Repair::None),
        rows("texts are not valid", "user", &length("about_me", &ABOUT_ME), Repair::None),
        rows("texts are not valid", "post", &length("body", &BODY), Repair::None),
        rows("daily counts are negative", "user", "follows_made < 0", follows),
        rows("daily counts are negative", "user", posts_made, posts),
        rows("token hashes are not valid", "session", hash_length, Repair::Delete),
        rows("token hashes are not valid", "mail_token", hash_length, Repair::Delete),
        rows(
            "hashes of invites are not valid",
            "invite",
            "length(code_hash) <> 32",
            Repair::Delete,
        ),
        rows("mails are not valid", "mail", mail, Repair::Delete),
        rows("token hashes are not valid", "external_token", hash_length, Repair::Delete),
        rows("identities are not valid", "identity", "issuer = '' OR subject = ''", Repair::Delete),
    ]
}
