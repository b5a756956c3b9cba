//! Tests of both imports: added rows, rejected lines, and idempotence.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use indicatif::ProgressBar;
use sea_orm::{EntityTrait as _, QueryOrder as _};

use super::edge_list::EdgeListOptions;
use super::*;
use crate::command::testing::TestDatabase;
use crate::ids::{IdGenerator, InstanceId, snowflake};

const EDGE_LIST: &str = "# Nodes: 4 Edges: 4\n#\n0 1\n0\t2\r\n\n  2 0  \n7 0";

async fn import_follows(
    database: &TestDatabase,
    content: impl AsRef<[u8]>,
) -> anyhow::Result<follows::Summary> {
    let options = EdgeListOptions::default();
    import_with(database, content, &options).await.map(|outcome| outcome.summary)
}

async fn import_with(
    database: &TestDatabase,
    content: impl AsRef<[u8]>,
    options: &EdgeListOptions,
) -> anyhow::Result<follows::Outcome> {
    let path = database.file("follows", content);
    follows::run(&database.db, &path, options, &ProgressBar::hidden()).await
}

async fn import_posts(
    database: &TestDatabase,
    content: impl AsRef<[u8]>,
) -> anyhow::Result<posts::Summary> {
    let path = database.file("posts", content);
    posts::run(&database.db, &path, &ProgressBar::hidden()).await
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The edge list `0 1`, `1 2`, `2 3`, ...
fn chain(length: u32) -> String {
    let lines: Vec<String> = (0..length).map(|user| format!("{user} {}\n", user + 1)).collect();
    lines.concat()
}

/// Adds a user that the import did not create.
async fn add_user(database: &TestDatabase, username: &str, email: &str) {
    let sql = r#"INSERT INTO "user" (id, username, email, created_at)"#;
    let time = "1970-01-01T00:00:00+00:00";
    database.tamper(&format!("{sql} VALUES (5, '{username}', '{email}', '{time}')")).await;
}

async fn follows(database: &TestDatabase) -> Vec<String> {
    let sql = r#"SELECT one.username || ' ' || other.username FROM follow
        JOIN "user" AS one ON one.id = follower_id JOIN "user" AS other ON other.id = followed_id
        ORDER BY follow.id"#;
    database.column(sql).await
}

#[tokio::test]
async fn edge_list_is_imported_as_users_and_follows() {
    let database = TestDatabase::new().await;
    let summary = import_follows(&database, EDGE_LIST).await.unwrap();
    let expected = follows::Summary {
        follows_read: 4,
        users_added: 4,
        follows_added: 4,
        ..Default::default()
    };
    assert_eq!(summary, expected);
    assert_eq!(follows(&database).await, ["u0 u1", "u0 u2", "u2 u0", "u7 u0"]);
    let user = entity::user::Entity::find_by(&entity::user::UserRef::Username("u7".to_owned()))
        .one(database.db.reader())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((user.email.as_str(), user.password_hash), ("u7@import.invalid", None));
    assert_eq!(user.created_at, snowflake::timestamp_of(user.id));
    assert_eq!((user.following_count, user.followers_count), (1, 0));
    database.assert_healthy().await;
}

#[tokio::test]
async fn importing_follows_again_adds_nothing_plain_or_gzip() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    for again in [EDGE_LIST.as_bytes().to_vec(), gzip(EDGE_LIST)] {
        let summary = import_follows(&database, again).await.unwrap();
        let expected = follows::Summary { follows_read: 4, existing: 4, ..Default::default() };
        assert_eq!(summary, expected);
    }
    let summary = import_follows(&database, gzip("1 2\n1 2\n0 1\n0 1\n")).await.unwrap();
    let expected = follows::Summary {
        follows_read: 4,
        follows_added: 1,
        duplicates: 1,
        existing: 2,
        ..Default::default()
    };
    assert_eq!(summary, expected);
    database.assert_healthy().await;
}

#[tokio::test]
async fn file_of_several_statements_is_imported_whole() {
    let database = TestDatabase::new().await;
    let summary = import_follows(&database, chain(9_000)).await.unwrap();
    assert_eq!((summary.users_added, summary.follows_added), (9_001, 9_000));
    let indexes = if database.is_on_postgres() {
        "SELECT indexname::text FROM pg_indexes
        WHERE tablename = 'follow' AND indexname <> 'follow_pkey' ORDER BY indexname"
    } else {
        "SELECT name FROM sqlite_schema WHERE tbl_name = 'follow' AND type = 'index' ORDER BY name"
    };
    let expected = ["follow_followers", "follow_following", "follow_pair"];
    assert_eq!(database.column(indexes).await, expected, "the indexes are created again");
    database.assert_healthy().await;
}

#[tokio::test]
async fn a_registered_user_with_the_name_of_an_imported_one_gets_no_follows() {
    let database = TestDatabase::new().await;
    add_user(&database, "U1", "a@b.c").await;
    for users_added in [4, 0] {
        let summary = import_follows(&database, EDGE_LIST).await.unwrap();
        assert_eq!(summary.users_added, users_added);
        assert_eq!(follows(&database).await, ["u0 u1_import", "u0 u2", "u2 u0", "u7 u0"]);
    }
    database.assert_healthy().await;
}

#[tokio::test]
async fn a_renamed_imported_user_is_recognised() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    database.tamper("UPDATE \"user\" SET username = 'alice' WHERE username = 'u1'").await;
    let summary = import_follows(&database, "1 7\n").await.unwrap();
    assert_eq!((summary.users_added, summary.follows_added), (0, 1));
    assert_eq!(follows(&database).await[4], "alice u7");
}

#[tokio::test]
async fn names_in_use_do_not_fail_the_import() {
    let database = TestDatabase::new().await;
    add_user(&database, "u1", "a@b.c").await;
    database.tamper("UPDATE \"user\" SET id = 6").await;
    add_user(&database, "u1_import", "b@b.c").await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    assert_eq!(follows(&database).await[0], "u0 u1_import2");
}

#[tokio::test]
async fn invalid_lines_are_skipped_and_counted_on_request() {
    let database = TestDatabase::new().await;
    let text = "from,to\n1,2,0.5\n% comment\n3,3,1\n".to_owned() + &"x\n".repeat(20) + "2,1,9\n";
    let options =
        EdgeListOptions { columns: Some((0, 1)), delimiter: Some(','), skip_invalid: true };
    let outcome = import_with(&database, text, &options).await.unwrap();
    assert_eq!((outcome.summary.follows_read, outcome.summary.follows_added), (2, 2));
    assert_eq!(outcome.skipped.count(), 22);
    let report = outcome.skipped.to_string();
    let starts =
        "\n  line 1 has \"from\" where a number belongs\n  line 4 says that user 3 follows";
    assert!(report.starts_with(starts), "{report}");
    assert!(report.ends_with("\n  line 12 has 1 columns only\n  and 12 more"), "{report}");
    assert_eq!(follows(&database).await, ["u1 u2", "u2 u1"]);
    database.assert_healthy().await;
}

#[tokio::test]
async fn gzip_files_may_have_several_members_and_padding() {
    let database = TestDatabase::new().await;
    let mut file = gzip("1 2\n");
    file.extend([0; 700]);
    file.extend(gzip("2 3\n"));
    file.resize(file.len() + 200_000, 0);
    assert_eq!(import_follows(&database, &file).await.unwrap().follows_added, 2);
    file.extend(b"garbage");
    assert!(import_follows(&database, &file).await.is_err());
}

#[tokio::test]
async fn invalid_follows_are_reported_and_nothing_is_imported() {
    let database = TestDatabase::new().await;
    let valid = chain(5_000);
    let invalid = "1\n1 2 3\n-1 2\n1 x\n4 4\n18446744073709551616 1\n1.0 2\n";
    let mut text = (valid + invalid).into_bytes();
    text.extend([0xff, b'\n']);
    let error = import_follows(&database, text).await.unwrap_err().to_string();
    for part in [
        "nothing was imported",
        "line 5001 does not have exactly two numbers",
        "line 5002 does not have exactly two numbers",
        "line 5003 has \"-1\" where a number belongs",
        "line 5004 has \"x\" where a number belongs",
        "line 5005 says that user 4 follows itself",
        "line 5006 has a number larger than 18446744073709551615",
        "line 5007 has \"1.0\" where a number belongs",
        "line 5008 is not UTF-8",
    ] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
    assert_eq!((database.count("user").await, database.count("follow").await), (0, 0));
}

#[tokio::test]
async fn many_invalid_lines_are_counted_and_long_ones_are_skipped() {
    let database = TestDatabase::new().await;
    let text = "x\n".repeat(25) + &"1".repeat(600_000) + "\n1 2\n1 1\n";
    let error = import_follows(&database, text).await.unwrap_err().to_string();
    assert!(error.ends_with("line 10 does not have exactly two numbers\n  and 17 more"), "{error}");
    let error =
        import_follows(&database, "1".repeat(600_000) + "\n1 1").await.unwrap_err().to_string();
    assert!(error.contains("line 1 is longer than 256 KiB\n  line 2 says"), "{error}");
}

#[tokio::test]
async fn truncated_file_imports_nothing() {
    let database = TestDatabase::new().await;
    let file = gzip(&chain(20_000));
    let error = import_follows(&database, &file[..file.len() - 100]).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read line"), "{error}");
    assert_eq!(database.count("user").await, 0);
    let options = EdgeListOptions::default();
    let missing =
        follows::run(&database.db, "/no/such/file".as_ref(), &options, &ProgressBar::hidden())
            .await;
    assert!(missing.unwrap_err().to_string().contains("/no/such/file"));
}

const POSTS: &str = r#"
{"author": "U0", "body": "one\n\ttwo", "createdAt": "2020-02-03T04:05:06.7899Z"}
{"author": "u0", "body": "same millisecond", "createdAt": "2020-02-03T05:05:06.789+01:00", "x": 3}

{"author": "u1", "body": "same millisecond", "createdAt": "2020-02-03T04:05:06.789Z"}
{"author": "u1", "body": "ærlig 🐦", "createdAt": "1970-01-01T00:00:00Z"}
"#;

#[tokio::test]
async fn posts_keep_their_time_and_order() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let summary = import_posts(&database, POSTS).await.unwrap();
    assert_eq!(summary, posts::Summary { posts_read: 4, posts_added: 4, existing: 0 });
    let posts = entity::post::Entity::find()
        .order_by_asc(entity::post::Column::Id)
        .all(database.db.reader())
        .await
        .unwrap();
    let bodies: Vec<_> = posts.iter().map(|post| post.body.as_str()).collect();
    assert_eq!(bodies, ["ærlig 🐦", "one\n\ttwo", "same millisecond", "same millisecond"]);
    for post in &posts {
        assert_eq!(post.created_at, snowflake::timestamp_of(post.id));
    }
    assert_eq!(posts[1].created_at.to_rfc3339(), "2020-02-03T04:05:06.789+00:00");
    database.assert_healthy().await;
}

#[tokio::test]
async fn importing_posts_again_adds_nothing() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    import_posts(&database, POSTS).await.unwrap();
    let again = posts::Summary { posts_read: 4, posts_added: 0, existing: 4 };
    assert_eq!(import_posts(&database, gzip(POSTS)).await.unwrap(), again);
    // A duplicate within the file, in a millisecond that has posts already.
    let more = r#"{"author": "u2", "body": "late", "createdAt": "2020-02-03T04:05:06.789Z"}"#;
    let summary = import_posts(&database, format!("{more}\n{more}")).await.unwrap();
    assert_eq!(summary, posts::Summary { posts_read: 2, posts_added: 1, existing: 1 });
    assert_eq!(database.count("post").await, 5);
    database.assert_healthy().await;
}

#[tokio::test]
async fn post_created_by_the_server_is_recognised() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let id = IdGenerator::new(InstanceId::fixed(3), 0).next();
    let time = snowflake::timestamp_of(id).to_rfc3339();
    database
        .tamper(&format!(
            "INSERT INTO post (id, author_id, body, created_at)
             SELECT {id}, id, 'hello', '{time}' FROM \"user\" WHERE username = 'u0'"
        ))
        .await;
    let line = format!(r#"{{"author": "u0", "body": "hello", "createdAt": "{time}"}}"#);
    let summary = import_posts(&database, line).await.unwrap();
    assert_eq!(summary.existing, 1);
}

#[tokio::test]
async fn invalid_posts_are_reported_and_nothing_is_imported() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let post = |author: &str, body: &str, time: &str| {
        format!(r#"{{"author": "{author}", "body": "{body}", "createdAt": "{time}"}}"#)
    };
    let time = "2020-01-01T00:00:00Z";
    let text = [
        post("u0", "fine", time),
        post("unknown", "hello", time),
        post("u0", " \\n", time),
        post("u0", &"ü".repeat(5_000), time),
        post("u0", &"ü".repeat(5_001), time),
        post("u0", "control \\u0007", time),
        post("u0", "hello", "2020-01-01"),
        post("u0", "hello", "1969-12-31T23:59:59.9999Z"),
        post("u0", "hello", "2100-01-01T00:00:00Z"),
        "{\"author\": \"u0\"}".to_owned(),
    ];
    let error = import_posts(&database, text.join("\n")).await.unwrap_err().to_string();
    let report: Vec<_> = error.lines().skip(1).collect();
    let expected = [
        "  line 2 has an author who is not a user: ",
        "  line 3 has an invalid body: This must have at",
        "  line 5 has an invalid body: This must be 1 to",
        "  line 6 has an invalid body: This must not con",
        "  line 7 has a createdAt that is not RFC 3",
        "  line 8 has a createdAt before 1970: 1969",
        "  line 9 has a createdAt in the future: 21",
        "  line 10 is not a post in JSON: missing f",
    ];
    assert_eq!(report.len(), expected.len(), "{error}");
    for (line, expected) in report.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(database.count("post").await, 0);
}

#[tokio::test]
async fn follow_despite_a_block_is_not_imported() {
    let database = TestDatabase::new().await;
    import_follows(&database, "1 2").await.unwrap();
    database.tamper("DELETE FROM follow").await;
    let block = "INSERT INTO block (id, blocker_id, blocked_id) SELECT 1, min(id), max(id)";
    database.tamper(&format!("{block} FROM \"user\"")).await;
    let summary = import_follows(&database, "1 2\n2 1\n1 3").await.unwrap();
    assert_eq!((summary.follows_added, summary.duplicates), (1, 2));
}
