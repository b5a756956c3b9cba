//! Tests of the import of replies and reposts.

use super::*;
use crate::command::import::posts;

async fn import_posts(
    database: &TestDatabase,
    content: impl AsRef<[u8]>,
) -> anyhow::Result<posts::Summary> {
    let path = database.file("posts", content);
    posts::run(&database.db, &path, &ProgressBar::hidden()).await
}

/// A line of a user at a second of a minute, with further fields.
fn line(author: &str, second: u32, fields: &str) -> String {
    let time = format!("2020-02-03T04:05:{second:02}Z");
    format!(r#"{{"author": "{author}", "createdAt": "{time}", {fields}}}"#)
}

/// A conversation of three posts in a chain, with another reply and three reposts.
fn conversation() -> Vec<String> {
    vec![
        line("u0", 1, r#""id": "a", "body": "root""#),
        line("u1", 2, r#""id": "b", "body": "first reply", "inReplyTo": "a""#),
        line("u2", 3, r#""id": "c", "body": "second level", "inReplyTo": "b""#),
        line("u2", 3, r#""body": "to the root", "inReplyTo": "a""#),
        line("u2", 4, r#""id": "r", "repostOf": "a""#),
        line("u0", 5, r#""repostOf": "a""#),
        line("u0", 5, r#""repostOf": "c""#),
    ]
}

const PARENTS: &str = r"SELECT reply.body || ' < ' || coalesce(parent.body, '') FROM post AS reply
    LEFT JOIN post AS parent ON parent.id = reply.in_reply_to_id ORDER BY reply.id";
const REPOSTS: &str = r#"SELECT one.username || ' ' || post.body || ' of ' || other.username
    FROM feed_item JOIN "user" AS one ON one.id = actor_id JOIN post ON post.id = post_id
    JOIN "user" AS other ON other.id = subject_id WHERE kind = 2 ORDER BY feed_item.id"#;
const COUNTS: &str = r"SELECT body || ' ' || replies_count || ' ' || reposts_count FROM post
    ORDER BY id";

#[tokio::test]
async fn replies_and_reposts_are_imported_with_their_counts() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let file = conversation().join("\n");
    let summary = import_posts(&database, &file).await.unwrap();
    let expected =
        posts::Summary { posts_read: 7, posts_added: 4, reposts_added: 3, ..Default::default() };
    assert_eq!(summary, expected);
    let parents =
        ["root < ", "first reply < root", "second level < first reply", "to the root < root"];
    assert_eq!(database.column(PARENTS).await, parents);
    let reposts = ["u2 root of u0", "u0 root of u0", "u0 second level of u2"];
    assert_eq!(database.column(REPOSTS).await, reposts);
    let counts = ["root 2 2", "first reply 1 0", "second level 0 1", "to the root 0 0"];
    assert_eq!(database.column(COUNTS).await, counts);
    let subjects = r#"SELECT "user".username FROM feed_item JOIN "user" ON "user".id = subject_id
        WHERE kind = 1 ORDER BY feed_item.id"#;
    assert_eq!(database.column(subjects).await, ["u0", "u1", "u0"]);
    let replies = r#"SELECT username || ' ' || replies_count FROM "user" WHERE username <= 'u2'
        ORDER BY username"#;
    assert_eq!(database.column(replies).await, ["u0 0", "u1 1", "u2 2"]);
    database.assert_healthy().await;

    let again = posts::Summary { posts_read: 7, existing: 7, ..Default::default() };
    assert_eq!(import_posts(&database, gzip(&file)).await.unwrap(), again);
    assert_eq!(database.column(COUNTS).await, counts, "nothing is counted twice");
}

#[tokio::test]
async fn lines_refer_to_posts_that_exist_already() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    import_posts(&database, conversation().join("\n")).await.unwrap();
    // The ids of another file are other names for the same posts.
    let file = [
        line("u0", 1, r#""id": "1", "body": "root""#),
        line("u1", 2, r#""id": "2", "body": "first reply", "inReplyTo": "1""#),
        // The same text with another parent, or with none, is another post.
        line("u1", 2, r#""body": "first reply", "inReplyTo": "2""#),
        line("u1", 2, r#""body": "first reply""#),
        line("u7", 9, r#""id": "3", "body": "late", "inReplyTo": "2""#),
        line("u7", 9, r#""id": "4", "body": "late", "inReplyTo": "2""#),
        // A reply to the duplicate is a reply to the post.
        line("u0", 9, r#""body": "thanks", "inReplyTo": "4""#),
        line("u0", 9, r#""body": "thanks", "inReplyTo": "3""#),
        line("u7", 9, r#""repostOf": "1""#),
        line("u2", 9, r#""repostOf": "1""#),
        line("u7", 10, r#""repostOf": "1""#),
    ];
    let summary = import_posts(&database, file.join("\n")).await.unwrap();
    // Existing are the two posts, the duplicates, and the reposts by u2 and again by u7.
    let expected = posts::Summary { posts_read: 11, posts_added: 4, reposts_added: 1, existing: 6 };
    assert_eq!(summary, expected);
    let counts = ["root 2 3", "first reply 3 0"];
    assert_eq!(database.column(COUNTS).await[..2], counts);
    let parents = database.column(PARENTS).await;
    for parent in ["late < first reply", "thanks < late", "first reply < first reply"] {
        assert_eq!(parents.iter().filter(|line| *line == parent).count(), 1, "{parents:?}");
    }
    database.assert_healthy().await;
}

#[tokio::test]
async fn long_conversations_are_imported_in_several_statements() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let reply = |number: u32| {
        let parent = if number.is_multiple_of(50) { 0 } else { number - 1 };
        let fields = format!(r#""id": "{number}", "body": "{number}", "inReplyTo": "{parent}""#);
        line("u1", 2, &fields)
    };
    let root = line("u0", 1, r#""id": "0", "body": "0""#);
    let file: Vec<String> = std::iter::once(root).chain((1..5_000).map(reply)).collect();
    let file = file.join("\n");
    let summary = import_posts(&database, &file).await.unwrap();
    assert_eq!(summary.posts_added, 5_000);
    // All replies have the same millisecond, and each is after its parent.
    let wrong = "SELECT reply.body FROM post AS reply JOIN post AS parent
        ON parent.id = reply.in_reply_to_id WHERE parent.id >= reply.id
        OR CAST(parent.body AS bigint) <> CASE CAST(reply.body AS bigint) % 50 WHEN 0 THEN 0
            ELSE CAST(reply.body AS bigint) - 1 END";
    assert!(database.column(wrong).await.is_empty());
    assert_eq!(database.column(COUNTS).await[0], "0 100 0");
    assert_eq!(import_posts(&database, &file).await.unwrap().existing, 5_000);
    database.assert_healthy().await;
}

#[tokio::test]
async fn ids_of_reposts_are_not_used_for_posts() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let root = line("u0", 1, r#""id": "a", "body": "root""#);
    let repost = line("u1", 2, r#""repostOf": "a""#);
    import_posts(&database, format!("{root}\n{repost}")).await.unwrap();
    // The post and the repost have the same user and the same millisecond.
    let post = line("u1", 2, r#""id": "b", "body": "another""#);
    import_posts(&database, post).await.unwrap();
    let ids = database.column("SELECT CAST(id AS text) FROM feed_item ORDER BY id").await;
    assert_eq!(ids.len(), 3);
    assert_ne!(ids[1], ids[2]);
    database.assert_healthy().await;
}

#[tokio::test]
async fn only_authors_repost_their_protected_posts() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    database.tamper(r#"UPDATE "user" SET is_protected = true WHERE username = 'u0'"#).await;
    let root = line("u0", 1, r#""id": "a", "body": "root""#);
    let (own, other) = (line("U0", 2, r#""repostOf": "a""#), line("u1", 2, r#""repostOf": "a""#));
    let rejected = import_posts(&database, format!("{root}\n{own}\n{other}")).await.unwrap_err();
    let report = "  line 3 reposts a post of a protected user: \"a\"";
    assert_eq!(rejected.to_string().lines().skip(1).collect::<Vec<_>>(), [report]);
    assert_eq!((database.count("post").await, database.count("feed_item").await), (0, 0));
    let summary = import_posts(&database, format!("{root}\n{own}")).await.unwrap();
    assert_eq!((summary.posts_added, summary.reposts_added), (1, 1));
    database.assert_healthy().await;
}

/// A misspelt reference would make a reply a post without a parent.
#[tokio::test]
async fn unknown_fields_are_reported_and_nothing_is_imported() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let file = [
        line("u0", 5, r#""id": "a", "body": "root""#),
        line("u0", 6, r#""body": "misspelt", "in_reply_to": "a""#),
        r#"[null, "u0", "an array", null, null, "2026-01-01T00:00:00Z"]"#.to_owned(),
    ];
    let error = import_posts(&database, file.join("\n")).await.unwrap_err().to_string();
    let report: Vec<_> = error.lines().skip(1).collect();
    assert!(report[0].starts_with("  line 2 is not a post in JSON: unknown field `in_reply_to`"));
    assert_eq!(report[1..], ["  line 3 is not a post in JSON: not an object"]);
    assert_eq!(database.count("post").await, 0);
}

#[tokio::test]
async fn invalid_references_are_reported_and_nothing_is_imported() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let file = [
        line("u0", 5, r#""id": "a", "body": "root""#),
        line("u0", 5, r#""id": "r", "repostOf": "a""#),
        line("u0", 6, r#""body": "unknown", "inReplyTo": "x""#),
        line("u0", 6, r#""repostOf": "later""#),
        line("u0", 6, r#""id": "later", "body": "later""#),
        line("u0", 6, r#""id": "a", "body": "again""#),
        line("u0", 4, r#""body": "too early", "inReplyTo": "a""#),
        line("u0", 4, r#""repostOf": "a""#),
        line("u0", 6, r#""body": "to a repost", "inReplyTo": "r""#),
        line("u0", 6, r#""repostOf": "r""#),
        line("u0", 6, r#""body": "both", "repostOf": "a""#),
        line("u0", 6, r#""inReplyTo": "a", "repostOf": "a""#),
        line("u0", 6, r#""inReplyTo": "a""#),
    ];
    let error = import_posts(&database, file.join("\n")).await.unwrap_err().to_string();
    let report: Vec<_> = error.lines().skip(1).collect();
    let expected = [
        "  line 3 has an inReplyTo that no earlier line has as id: \"x\"",
        "  line 4 has a repostOf that no earlier line has as id: \"later\"",
        "  line 6 has the id of line 1: \"a\"",
        "  line 7 is older than the post that it replies to: \"a\"",
        "  line 8 is older than the post that it reposts: \"a\"",
        "  line 9 has an inReplyTo that is a repost: \"r\"",
        "  line 10 has a repostOf that is a repost: \"r\"",
        "  line 11 has both a body and a repostOf",
        "  line 12 has both a repostOf and an inReplyTo",
        "  line 13 is not a post in JSON: missing field `body`",
    ];
    assert_eq!(report, expected, "{error}");
    assert_eq!((database.count("post").await, database.count("feed_item").await), (0, 0));
}
