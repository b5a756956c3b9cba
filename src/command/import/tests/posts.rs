//! Tests of the import of posts.

use sea_orm::{EntityTrait as _, QueryOrder as _};

use super::*;
use crate::command::import::posts;
use crate::ids::{IdGenerator, InstanceId};

async fn import_posts(
    database: &TestDatabase,
    content: impl AsRef<[u8]>,
) -> anyhow::Result<posts::Summary> {
    let path = database.file("posts", content);
    posts::run(&database.db, &path, &ProgressBar::hidden()).await
}

const POSTS: &str = r#"
{"author": "U0", "body": "one\n\ttwo", "createdAt": "2020-02-03T04:05:06.7899Z"}
{"author": "u0", "body": "same millisecond", "createdAt": "2020-02-03T05:05:06.789+01:00"}

{"author": "u1", "body": "same millisecond", "createdAt": "2020-02-03T04:05:06.789Z"}
{"author": "u1", "body": "ærlig 🐦", "createdAt": "1970-01-01T00:00:00Z"}
"#;

#[tokio::test]
async fn posts_keep_their_time_and_order() {
    let database = TestDatabase::new().await;
    import_follows(&database, EDGE_LIST).await.unwrap();
    let summary = import_posts(&database, POSTS).await.unwrap();
    assert_eq!(summary, posts::Summary { posts_read: 4, posts_added: 4, ..Default::default() });
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
    let again = posts::Summary { posts_read: 4, existing: 4, ..Default::default() };
    assert_eq!(import_posts(&database, gzip(POSTS)).await.unwrap(), again);
    // A duplicate within the file, in a millisecond that has posts already.
    let more = r#"{"author": "u2", "body": "late", "createdAt": "2020-02-03T04:05:06.789Z"}"#;
    let summary = import_posts(&database, format!("{more}\n{more}")).await.unwrap();
    let expected =
        posts::Summary { posts_read: 2, posts_added: 1, existing: 1, ..Default::default() };
    assert_eq!(summary, expected);
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
