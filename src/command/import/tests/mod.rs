//! Tests of all imports: added rows, rejected lines, and idempotence.

mod blocks_and_mutes;
mod conversations;
mod posts;

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use indicatif::ProgressBar;

use super::edge_list::EdgeListOptions;
use super::pairs::{self, PairKind};
use crate::command::testing::TestDatabase;
use crate::ids::snowflake;

const EDGE_LIST: &str = "# Nodes: 4 Edges: 4\n#\n0 1\n0\t2\r\n\n  2 0  \n7 0";

async fn import_follows(
    database: &TestDatabase,
    content: impl AsRef<[u8]>,
) -> anyhow::Result<pairs::Summary> {
    import_pairs(database, PairKind::Follow, content).await
}

async fn import_pairs(
    database: &TestDatabase,
    kind: PairKind,
    content: impl AsRef<[u8]>,
) -> anyhow::Result<pairs::Summary> {
    let path = database.file("pairs", content);
    let options = EdgeListOptions::default();
    let outcome = pairs::run(&database.db, kind, &path, &options, &ProgressBar::hidden()).await;
    outcome.map(|outcome| outcome.summary)
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
    let expected =
        pairs::Summary { pairs_read: 4, users_added: 4, pairs_added: 4, ..Default::default() };
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
        let expected = pairs::Summary { pairs_read: 4, existing: 4, ..Default::default() };
        assert_eq!(summary, expected);
    }
    let summary = import_follows(&database, gzip("1 2\n1 2\n0 1\n0 1\n")).await.unwrap();
    let expected = pairs::Summary {
        pairs_read: 4,
        pairs_added: 1,
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
    assert_eq!((summary.users_added, summary.pairs_added), (9_001, 9_000));
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
    assert_eq!((summary.users_added, summary.pairs_added), (0, 1));
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
    let path = database.file("pairs", text);
    let progress = ProgressBar::hidden();
    let outcome = pairs::run(&database.db, PairKind::Follow, &path, &options, &progress);
    let outcome = outcome.await.unwrap();
    assert_eq!((outcome.summary.pairs_read, outcome.summary.pairs_added), (2, 2));
    assert_eq!(outcome.skipped.count(), 22);
    let report = outcome.skipped.to_string();
    let starts = "\n  line 1 has \"from\" where a number belongs\n  line 4 names user 3 twice";
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
    assert_eq!(import_follows(&database, &file).await.unwrap().pairs_added, 2);
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
        "line 5005 names user 4 twice",
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
    assert!(
        error.contains("line 1 is longer than 256 KiB\n  line 2 names user 1 twice"),
        "{error}"
    );
}

#[tokio::test]
async fn truncated_file_imports_nothing() {
    let database = TestDatabase::new().await;
    let file = gzip(&chain(20_000));
    let error = import_follows(&database, &file[..file.len() - 100]).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read line"), "{error}");
    assert_eq!(database.count("user").await, 0);
    let options = EdgeListOptions::default();
    let (path, progress) = (Path::new("/no/such/file"), ProgressBar::hidden());
    let missing = pairs::run(&database.db, PairKind::Follow, path, &options, &progress).await;
    assert!(missing.unwrap_err().to_string().contains("/no/such/file"));
}
