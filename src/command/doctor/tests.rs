//! Each kind of problem is found, and repaired where that is possible.

use chrono::{TimeDelta, Utc};
use indicatif::ProgressBar;

use super::*;
use crate::command::testing::TestDatabase;
use crate::command::{seed, token};
use crate::ids::snowflake;

/// A database with the demo data.
async fn demo() -> TestDatabase {
    let database = TestDatabase::new().await;
    seed::demo(&database.db, "$argon2id$hash").await.unwrap();
    database
}

async fn check(database: &TestDatabase, repair: bool) -> Report {
    run(&database.db, repair, &ProgressBar::hidden()).await.unwrap()
}

/// The check and the count of each finding.
fn checks(findings: &[Finding]) -> Vec<(&str, usize)> {
    findings.iter().map(|finding| (finding.check, finding.count)).collect()
}

#[tokio::test]
async fn wrong_counts_are_found_and_repaired() {
    let database = demo().await;
    database
        .tamper(
            r#"UPDATE "user" SET posts_count = 99 WHERE username = 'john';
            UPDATE "user" SET following_count = following_count + 1 WHERE username <> 'john'"#,
        )
        .await;
    let report = check(&database, false).await;
    assert_eq!(checks(&report.found), [("following_count", 303), ("posts_count", 1)]);
    let text = report.to_string();
    assert!(text.contains("john: posts_count is 99, should be 4"), "{text}");
    assert!(text.contains("susan: following_count is 2, should be 1"), "{text}");
    assert!(text.contains("\n  and 283 more\n"), "{text}");

    let report = check(&database, true).await;
    assert_eq!((report.found.len(), report.is_clean()), (2, true));
    assert!(report.to_string().ends_with("repaired\n"));
    assert!(check(&database, true).await.found.is_empty());
}

#[tokio::test]
async fn orphans_are_found_and_deleted() {
    let database = demo().await;
    token::create(&database.db, "david", 1).await.unwrap();
    database
        .tamper(
            r#"INSERT INTO bookmark (id, user_id, post_id)
                SELECT 1, (SELECT id FROM "user" WHERE username = 'susan'), max(id) FROM post;
            INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
                SELECT (SELECT id FROM "user" WHERE username = 'susan'), 8, max(id), author_id, 2
                FROM post WHERE author_id = (SELECT id FROM "user" WHERE username = 'david')
                GROUP BY author_id ON CONFLICT DO NOTHING"#,
        )
        .await;
    let (before, after) = if database.is_on_postgres() {
        let before = "ALTER TABLE follow DROP CONSTRAINT follow_follower_id_fkey;
            ALTER TABLE follow DROP CONSTRAINT follow_followed_id_fkey;
            ALTER TABLE post DROP CONSTRAINT post_author_id_fkey;
            ALTER TABLE session DROP CONSTRAINT session_user_id_fkey;";
        (before, "")
    } else {
        ("PRAGMA foreign_keys = OFF;", "PRAGMA foreign_keys = ON;")
    };
    let delete = r#"DELETE FROM "user" WHERE username = 'david';"#;
    database.tamper(&format!("{before} {delete} {after}")).await;
    let report = check(&database, false).await;
    let is_orphans = |finding: &&Finding| finding.check == "rows refer to missing rows";
    let orphans = report.found.iter().find(is_orphans).unwrap_or_else(|| panic!("{report}"));
    // Two followers of the cast, the generated ones, four posts and a session. The bookmark is
    // valid: its post exists.
    assert!(orphans.count > 2 + 70 + 4 + 1, "{report}");
    assert!(orphans.examples[0].ends_with(" refers to a missing user"), "{report}");

    // One repair also deletes the repost of a post without an author.
    let report = check(&database, true).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((database.count("bookmark").await, database.count("session").await), (0, 0));
    database.assert_healthy().await;
}

#[tokio::test]
async fn list_of_references_equals_the_foreign_keys() {
    let database = TestDatabase::new().await;
    let sql = if database.is_on_postgres() {
        "SELECT replace(concat_ws(' ', conrelid::regclass, attname, confrelid::regclass), '\"', '')
        FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY(conkey)
        WHERE contype = 'f'"
    } else {
        r#"SELECT name || ' ' || "from" || ' ' || "table"
        FROM sqlite_schema JOIN pragma_foreign_key_list(name) WHERE sqlite_schema.type = 'table'"#
    };
    let mut foreign_keys = database.column(sql).await;
    let mut listed: Vec<String> = references()
        .map(|(table, reference)| {
            format!("{} {} {}", table.name, reference.column, reference.table)
        })
        .collect();
    foreign_keys.sort_unstable();
    listed.sort_unstable();
    assert_eq!(foreign_keys, listed);
}

#[tokio::test]
async fn self_follows_are_found_and_deleted() {
    let database = demo().await;
    let (before, after) = if database.is_on_postgres() {
        ("ALTER TABLE follow DROP CONSTRAINT follow_check;", "")
    } else {
        ("PRAGMA ignore_check_constraints = ON;", "PRAGMA ignore_check_constraints = OFF;")
    };
    let insert = r#"INSERT INTO follow (id, follower_id, followed_id)
        SELECT 1, id, id FROM "user" WHERE username = 'mary';"#;
    database.tamper(&format!("{before} {insert} {after}")).await;
    let report = check(&database, true).await;
    let found = checks(&report.found);
    assert!(found.contains(&("users follow themselves", 1)), "{report}");
    assert!(report.to_string().contains("mary: follow 1"), "{report}");
    assert!(found.contains(&("followers_count", 1)), "{report}");
    assert!(report.is_clean(), "{report}");
}

/// What other programs, a faulty disk or a faulty clock may do.
#[tokio::test]
async fn each_broken_invariant_is_found_and_repaired_if_possible() {
    let future = snowflake::command_id_at(Utc::now() + TimeDelta::days(60), 1).unwrap();
    let future = format!(
        "UPDATE post SET id = {future} WHERE id = (SELECT max(id) FROM post WHERE likes_count + reposts_count = 0)"
    );
    let user =
        |assignment: &str| format!(r#"UPDATE "user" SET {assignment} WHERE username = 'john'"#);
    let first_post = |assignment: &str| {
        format!("UPDATE post SET {assignment} WHERE id = (SELECT min(id) FROM post)")
    };
    let duplicate = "DROP INDEX follow_pair; INSERT INTO follow (id, follower_id, followed_id)
        SELECT 1, follower_id, followed_id FROM follow ORDER BY id LIMIT 1";
    let same_name = "DROP INDEX user_username;
        UPDATE \"user\" SET username = 'JOHN' WHERE username = 'susan'";
    let repost = "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind) SELECT";
    let john = r#"(SELECT id FROM "user" WHERE username = 'john')"#;
    let first = "FROM post ORDER BY post.id LIMIT 1";
    let mut cases = vec![
        ("DELETE FROM event".to_owned(), "the outbox has no events", true),
        ("DROP INDEX follow_pair".to_owned(), SCHEMA_DIFFERS, true),
        ("DROP INDEX post_author".to_owned(), SCHEMA_DIFFERS, true),
        ("ALTER TABLE post DROP COLUMN edited_at".to_owned(), SCHEMA_DIFFERS, false),
        (duplicate.to_owned(), "rows are duplicates", true),
        (same_name.to_owned(), "rows are duplicates", false),
        (future, "rows are from the future", false),
        (
            first_post("created_at = '2001-01-01T00:00:00+00:00'"),
            "created_at differs from the id",
            true,
        ),
        (first_post("body = ''"), "texts are not valid", false),
        (first_post("edited_at = '2999-01-01T00:00:00+00:00'"), "times are wrong", true),
        (user("last_seen_at = '2999-01-01T00:00:00+00:00'"), "times are wrong", true),
        ("UPDATE event SET at = '2999-01-01T00:00:00+00:00'".to_owned(), "times are wrong", true),
        (user("username = 'a b'"), "usernames are not valid", false),
        (user("email = 'john at home'"), "e-mail addresses are not valid", false),
        (user("email = 'John@example.com'"), "e-mail addresses are not valid", false),
        (user("password_hash = 'x'"), "password hashes are not valid", false),
        (user("display_name = ''"), "texts are not valid", false),
        (user("follows_made = -1"), "daily counts are negative", true),
        (first_post("likes_count = 3"), "likes_count", true),
        (user("replies_count = 3"), "replies_count", true),
        ("DELETE FROM feed_item".to_owned(), "posts are missing in timelines", true),
        (
            "INSERT INTO mail (id, kind, email, attempts, due_at)
                VALUES (7, 0, 'john@example.com', 0, '2026-12-02T00:00:00+00:00')"
                .to_owned(),
            "mails are not valid",
            true,
        ),
        (format!("{repost} {john}, 7, 7, 9, 2"), "feed items are wrong", true),
        (format!("{repost} {john}, 7, id, 9, 2 {first}"), "reposts have the wrong author", true),
        (
            format!("DROP INDEX feed_item_id; {repost} {john}, id, id, author_id, 2 {first}"),
            "rows are duplicates",
            true,
        ),
    ];
    let is_on_postgres = demo().await.is_on_postgres();
    if is_on_postgres {
        let hash = r"UPDATE session SET token_hash = '\x00'".to_owned();
        cases.push((hash, "token hashes are not valid", true));
    } else {
        let gap = "INSERT INTO event (kind, actor, object, at)
            SELECT 7, 0, 0, CURRENT_TIMESTAMP FROM post LIMIT 3;
            DELETE FROM event WHERE txn = (SELECT max(txn) - 1 FROM event)";
        cases.extend([
            (
                "UPDATE session SET token_hash = x'00'".to_owned(),
                "token hashes are not valid",
                true,
            ),
            ("UPDATE session SET expires_at = 'soon'".to_owned(), "times are wrong", true),
            (first_post("created_at = 'long ago'"), "created_at differs from the id", true),
            (gap.to_owned(), "events are missing", true),
        ]);
    }
    for (damage, expected, is_repaired) in cases {
        let database = demo().await;
        token::create(&database.db, "david", 1).await.unwrap();
        database.tamper(&damage).await;
        let report = check(&database, false).await;
        assert!(
            checks(&report.found).iter().any(|found| found.0 == expected),
            "{damage}: {report}"
        );
        let report = check(&database, true).await;
        assert_eq!(report.is_clean(), is_repaired, "{damage}: {report}");
        if is_repaired {
            database.assert_healthy().await;
        }
    }
}

/// Connections of the pool have read the index before other connections change it.
#[tokio::test]
async fn search_index_that_another_connection_changed_is_not_damaged() {
    let database = demo().await;
    for round in 0..6 {
        let report = check(&database, false).await;
        assert!(report.is_clean(), "round {round}: {report}");
        for n in 0..60 {
            let john = "(SELECT id FROM \"user\" WHERE username = 'john')";
            let id = 1_000 * (round + 1) + n;
            let change = format!(
                "INSERT INTO post (id, author_id, body, created_at)
                    VALUES ({id}, {john}, 'word{id}', '1970-01-01T00:00:00+00:00');
                INSERT INTO feed_item (actor_id, id, post_id, kind) VALUES ({john}, {id}, {id}, 0);
                UPDATE \"user\" SET posts_count = posts_count + 1 WHERE username = 'john'"
            );
            database.tamper(&change).await;
            database.db.index_missing(database.db.writer()).await.unwrap();
        }
    }
    let report = check(&database, false).await;
    assert!(report.is_clean(), "{report}");
}

/// Each case is a kind, and a query for recipient, actor and post without SELECT.
#[tokio::test]
async fn notifications_without_a_cause_are_found_and_deleted() {
    let of_follow = "followed_id, follower_id, CAST(NULL AS bigint) FROM follow
        WHERE NOT EXISTS (SELECT 1 FROM follow AS back
            WHERE back.follower_id = follow.followed_id AND back.followed_id = follow.follower_id)";
    let followed_post = "followed_id, follower_id, (SELECT min(id) FROM post) FROM follow";
    let of_other = r#"(SELECT min(id) FROM "user" WHERE id <> author_id), author_id, id FROM post
        WHERE in_reply_to_id IS NULL
            AND NOT EXISTS (SELECT 1 FROM mention WHERE post_id = post.id)"#;
    let of_itself = "author_id, author_id, id FROM post";
    for (kind, source, expected) in [
        (0, followed_post, "notifications have no follow"),
        (1, of_follow, "notifications have no request to follow"),
        (2, of_follow, "notifications have no accepted follow"),
        (3, of_other, "notifications have no like"),
        (4, of_other, "notifications have no reply"),
        (5, of_other, "notifications have no repost"),
        (6, of_other, "notifications have no mention"),
        (3, of_itself, "users have notifications of themselves"),
    ] {
        let database = demo().await;
        let insert = format!(
            "INSERT INTO notification (id, kind, user_id, actor_id, post_id)
            SELECT 7, {kind}, {source} LIMIT 1"
        );
        database.tamper(&insert).await;
        let report = check(&database, true).await;
        let found = checks(&report.found);
        assert!(found.contains(&(expected, 1)), "{expected}: {report}");
        assert!(report.to_string().contains("notification 7\n"), "{report}");
        assert!(report.is_clean(), "{report}");
        assert_eq!(database.count("notification").await, 0, "{expected}");
    }
}

#[tokio::test]
async fn notifications_with_a_cause_are_no_problem_and_a_block_ends_them() {
    let database = demo().await;
    database
        .tamper(
            r#"INSERT INTO notification (id, user_id, kind, actor_id, post_id)
            SELECT 1000 + row_number() OVER (ORDER BY "like".id), author_id, 3, user_id, post_id
            FROM "like" JOIN post ON post.id = post_id WHERE author_id <> user_id;
        INSERT INTO notification (id, user_id, kind, actor_id, post_id)
            SELECT 100000 + row_number() OVER (ORDER BY id), subject_id,
                CASE WHEN kind = 2 THEN 5 ELSE 4 END, actor_id, post_id
            FROM feed_item WHERE kind > 0 AND subject_id <> actor_id;
        INSERT INTO notification (id, user_id, kind, actor_id)
            SELECT id, followed_id, 0, follower_id FROM follow"#,
        )
        .await;
    database.assert_healthy().await;
    let count =
        |kind: i16| format!("SELECT CAST(count(*) AS text) FROM notification WHERE kind = {kind}");
    for kind in [0, 3, 4, 5] {
        assert_ne!(database.column(&count(kind)).await, ["0"], "kind {kind}");
    }
    let block = "INSERT INTO block (id, blocker_id, blocked_id)
        SELECT 7, user_id, actor_id FROM notification WHERE kind = 3 ORDER BY id LIMIT 1";
    database.tamper(block).await;
    let report = check(&database, true).await;
    let name = "notifications exist despite a block";
    assert!(checks(&report.found).iter().any(|found| found.0 == name), "{report}");
    assert!(report.is_clean(), "{report}");
    database.assert_healthy().await;
}

#[tokio::test]
async fn damaged_index_is_reported_and_not_repaired() {
    let database = TestDatabase::on_sqlite().await;
    seed::demo(&database.db, "$argon2id$hash").await.unwrap();
    database
        .tamper(
            "PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = 'CREATE INDEX bookmark_user ON bookmark (user_id, id)',
                rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'follow_pair')
            WHERE name = 'bookmark_user';
            PRAGMA writable_schema = RESET;",
        )
        .await;
    let report = check(&database, true).await;
    assert!(checks(&report.found).iter().any(|found| found.0 == "the file is damaged"), "{report}");
    assert!(!report.is_clean());
    assert!(report.to_string().contains("repaired, except for:\n"), "{report}");
}
