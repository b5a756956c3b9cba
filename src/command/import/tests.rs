//! Both imports: what comes in, what is refused, and that twice is as good as once.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use indicatif::ProgressBar;
use sea_orm::{EntityTrait as _, QueryOrder as _};

use super::*;
use crate::command::testing::Bench;
use crate::key;

const EDGES: &str = "# Nodes: 4 Edges: 4\n#\n0 1\n0\t2\r\n\n  2 0  \n7 0";

async fn import_edges(bench: &Bench, content: impl AsRef<[u8]>) -> anyhow::Result<edges::Summary> {
    let path = bench.file("edges", content);
    edges::run(&bench.db, &path, &ProgressBar::hidden()).await
}

async fn import_posts(bench: &Bench, content: impl AsRef<[u8]>) -> anyhow::Result<posts::Summary> {
    let path = bench.file("posts", content);
    posts::run(&bench.db, &path, &ProgressBar::hidden()).await
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// `0 1`, `1 2`, `2 3`, ...
fn chain(length: u32) -> String {
    let lines: Vec<String> = (0..length).map(|node| format!("{node} {}\n", node + 1)).collect();
    lines.concat()
}

/// A user whom the import did not make.
async fn add_user(bench: &Bench, username: &str, email: &str) {
    let sql = r#"INSERT INTO "user" (id, username, email, created_at)"#;
    let time = "2020-01-01T00:00:00+00:00";
    bench.tamper(&format!("{sql} VALUES (5, '{username}', '{email}', '{time}')")).await;
}

async fn follows(bench: &Bench) -> Vec<String> {
    let sql = r#"SELECT one.username || ' ' || other.username FROM follow
        JOIN "user" AS one ON one.id = follower_id JOIN "user" AS other ON other.id = followed_id
        ORDER BY follow.id"#;
    bench.column(sql).await
}

#[tokio::test]
async fn edges_come_in_as_users_and_follows() {
    let bench = Bench::new().await;
    let summary = import_edges(&bench, EDGES).await.unwrap();
    let expected =
        edges::Summary { edges: 4, users_added: 4, follows_added: 4, ..Default::default() };
    assert_eq!(summary, expected);
    assert_eq!(follows(&bench).await, ["u0 u1", "u0 u2", "u2 u0", "u7 u0"]);
    let user = entity::user::Entity::find_by(&entity::user::By::Username("u7".to_owned()))
        .one(bench.db.reader())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((user.email.as_str(), user.password_hash), ("u7@import.invalid", None));
    assert_eq!(user.created_at, key::time_of(user.id));
    assert_eq!((user.following_count, user.followers_count), (1, 0));
    bench.assert_healthy().await;
}

#[tokio::test]
async fn edges_twice_add_nothing_packed_or_not() {
    let bench = Bench::new().await;
    import_edges(&bench, EDGES).await.unwrap();
    for again in [EDGES.as_bytes().to_vec(), packed(EDGES)] {
        let summary = import_edges(&bench, again).await.unwrap();
        let expected = edges::Summary { edges: 4, already_there: 4, ..Default::default() };
        assert_eq!(summary, expected);
    }
    let summary = import_edges(&bench, packed("1 2\n1 2\n0 1\n0 1\n")).await.unwrap();
    let expected = edges::Summary {
        edges: 4,
        follows_added: 1,
        duplicates: 1,
        already_there: 2,
        ..Default::default()
    };
    assert_eq!(summary, expected);
    bench.assert_healthy().await;
}

#[tokio::test]
async fn a_file_longer_than_a_chunk_comes_in_whole() {
    let bench = Bench::new().await;
    let summary = import_edges(&bench, chain(9_000)).await.unwrap();
    assert_eq!((summary.users_added, summary.follows_added), (9_001, 9_000));
    let indexes = if bench.is_on_postgres() {
        "SELECT indexname::text FROM pg_indexes
        WHERE tablename = 'follow' AND indexname <> 'follow_pkey' ORDER BY indexname"
    } else {
        "SELECT name FROM sqlite_schema WHERE tbl_name = 'follow' AND type = 'index' ORDER BY name"
    };
    let expected = ["follow_followers", "follow_following", "follow_pair"];
    assert_eq!(bench.column(indexes).await, expected, "put back");
    bench.assert_healthy().await;
}

#[tokio::test]
async fn users_who_are_there_already_are_used_as_they_are() {
    let bench = Bench::new().await;
    add_user(&bench, "U1", "a@b.c").await;
    let summary = import_edges(&bench, EDGES).await.unwrap();
    assert_eq!(summary.users_added, 3);
    assert_eq!(follows(&bench).await[0], "u0 U1");
    bench.assert_healthy().await;
}

#[tokio::test]
async fn an_address_in_use_stops_the_import() {
    let bench = Bench::new().await;
    add_user(&bench, "eve", "u1@import.invalid").await;
    let error = import_edges(&bench, EDGES).await.unwrap_err();
    assert!(error.to_string().contains("belongs to a user of another name"), "{error}");
    assert_eq!(bench.count("user").await, 1);
}

#[tokio::test]
async fn bad_edges_are_named_and_nothing_is_imported() {
    let bench = Bench::new().await;
    let good = chain(5_000);
    let bad = "1\n1 2 3\n-1 2\n1 x\n4 4\n18446744073709551616 1\n1.0 2\n";
    let mut text = (good + bad).into_bytes();
    text.extend([0xff, b'\n']);
    let error = import_edges(&bench, text).await.unwrap_err().to_string();
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
    assert_eq!((bench.count("user").await, bench.count("follow").await), (0, 0));
}

#[tokio::test]
async fn many_bad_lines_are_counted_and_endless_ones_cut() {
    let bench = Bench::new().await;
    let text = "x\n".repeat(25) + &"1".repeat(600_000) + "\n1 2\n1 1\n";
    let error = import_edges(&bench, text).await.unwrap_err().to_string();
    assert!(error.ends_with("line 10 does not have exactly two numbers\n  and 17 more"), "{error}");
    let error = import_edges(&bench, "1".repeat(600_000) + "\n1 1").await.unwrap_err().to_string();
    assert!(error.contains("line 1 is longer than 256 KiB\n  line 2 says"), "{error}");
}

#[tokio::test]
async fn a_file_that_ends_too_early_imports_nothing() {
    let bench = Bench::new().await;
    let whole = packed(&chain(20_000));
    let error = import_edges(&bench, &whole[..whole.len() - 100]).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read line"), "{error}");
    assert_eq!(bench.count("user").await, 0);
    let missing = edges::run(&bench.db, "/no/such/file".as_ref(), &ProgressBar::hidden()).await;
    assert!(missing.unwrap_err().to_string().contains("/no/such/file"));
}

const POSTS: &str = r#"
{"author": "U0", "body": "one\n\ttwo", "createdAt": "2020-02-03T04:05:06.7899Z"}
{"author": "u0", "body": "same millisecond", "createdAt": "2020-02-03T05:05:06.789+01:00", "x": 3}

{"author": "u1", "body": "same millisecond", "createdAt": "2020-02-03T04:05:06.789Z"}
{"author": "u1", "body": "ærlig 🐦", "createdAt": "1970-01-01T00:00:00Z"}
"#;

#[tokio::test]
async fn posts_keep_their_moment_and_their_order() {
    let bench = Bench::new().await;
    import_edges(&bench, EDGES).await.unwrap();
    let summary = import_posts(&bench, POSTS).await.unwrap();
    assert_eq!(summary, posts::Summary { posts: 4, posts_added: 4, already_there: 0 });
    let posts = entity::post::Entity::find()
        .order_by_asc(entity::post::Column::Id)
        .all(bench.db.reader())
        .await
        .unwrap();
    let bodies: Vec<_> = posts.iter().map(|post| post.body.as_str()).collect();
    assert_eq!(bodies, ["ærlig 🐦", "one\n\ttwo", "same millisecond", "same millisecond"]);
    for post in &posts {
        assert_eq!(post.created_at, key::time_of(post.id));
    }
    assert_eq!(posts[1].created_at.to_rfc3339(), "2020-02-03T04:05:06.789+00:00");
    bench.assert_healthy().await;
}

#[tokio::test]
async fn posts_twice_add_nothing() {
    let bench = Bench::new().await;
    import_edges(&bench, EDGES).await.unwrap();
    import_posts(&bench, POSTS).await.unwrap();
    let again = posts::Summary { posts: 4, posts_added: 0, already_there: 4 };
    assert_eq!(import_posts(&bench, packed(POSTS)).await.unwrap(), again);
    // Twice in one file, and one more in a millisecond that has posts already.
    let more = r#"{"author": "u2", "body": "late", "createdAt": "2020-02-03T04:05:06.789Z"}"#;
    let summary = import_posts(&bench, format!("{more}\n{more}")).await.unwrap();
    assert_eq!(summary, posts::Summary { posts: 2, posts_added: 1, already_there: 1 });
    assert_eq!(bench.count("post").await, 5);
    bench.assert_healthy().await;
}

#[tokio::test]
async fn a_post_that_the_service_made_is_known_again() {
    let bench = Bench::new().await;
    import_edges(&bench, EDGES).await.unwrap();
    let id = key::Keys::new(crate::database::Node::fixed(3), 0).next();
    let time = key::time_of(id).to_rfc3339();
    bench
        .tamper(&format!(
            "INSERT INTO post (id, author_id, body, created_at)
             SELECT {id}, id, 'hello', '{time}' FROM \"user\" WHERE username = 'u0'"
        ))
        .await;
    let line = format!(r#"{{"author": "u0", "body": "hello", "createdAt": "{time}"}}"#);
    let summary = import_posts(&bench, line).await.unwrap();
    assert_eq!(summary.already_there, 1);
}

#[tokio::test]
async fn bad_posts_are_named_and_nothing_is_imported() {
    let bench = Bench::new().await;
    import_edges(&bench, EDGES).await.unwrap();
    let post = |author: &str, body: &str, time: &str| {
        format!(r#"{{"author": "{author}", "body": "{body}", "createdAt": "{time}"}}"#)
    };
    let time = "2020-01-01T00:00:00Z";
    let text = [
        post("u0", "fine", time),
        post("nobody", "hello", time),
        post("u0", " \\n", time),
        post("u0", &"ü".repeat(5_000), time),
        post("u0", &"ü".repeat(5_001), time),
        post("u0", "bell \\u0007", time),
        post("u0", "hello", "2020-01-01"),
        post("u0", "hello", "1969-12-31T23:59:59.9999Z"),
        post("u0", "hello", "2100-01-01T00:00:00Z"),
        "{\"author\": \"u0\"}".to_owned(),
    ];
    let error = import_posts(&bench, text.join("\n")).await.unwrap_err().to_string();
    let told: Vec<_> = error.lines().skip(1).map(|line| &line[..line.len().min(42)]).collect();
    assert_eq!(
        told,
        [
            "  line 2 has an author who is not a user: ",
            "  line 3 has a bad body: This must not be ",
            "  line 5 has a bad body: This must be 1 to",
            "  line 6 has a bad body: This must not con",
            "  line 7 has a createdAt that is not RFC 3",
            "  line 8 has a createdAt before 1970: 1969",
            "  line 9 has a createdAt in the future: 21",
            "  line 10 is not a post in JSON: missing f",
        ]
    );
    assert_eq!(bench.count("post").await, 0);
}
