//! Generated graphs have the planned size, are reproducible and pass `doctor`.

use indicatif::ProgressBar;
use sea_orm::EntityTrait as _;

use super::*;
use crate::command::testing::TestDatabase;
use crate::ids::snowflake;

const OPTIONS: SeedOptions =
    SeedOptions { users: 200, follows_per_user: 20, posts_per_user: 5, rng_seed: 7 };
const FOLLOWS: &str = r#"
    SELECT one.username || ' ' || other.username FROM follow
    JOIN "user" AS one ON one.id = follower_id JOIN "user" AS other ON other.id = followed_id
    ORDER BY follow.id"#;
const BODIES: &str = r#"
    SELECT username || ': ' || body FROM post JOIN "user" ON "user".id = author_id
    ORDER BY post.id"#;

async fn seed(database: &TestDatabase, options: &SeedOptions) -> anyhow::Result<Summary> {
    run(&database.db, options, &ProgressBar::hidden()).await
}

#[tokio::test]
async fn same_rng_seed_generates_the_same_graph() {
    let (first, second, third) =
        (TestDatabase::new().await, TestDatabase::new().await, TestDatabase::new().await);
    let summary = seed(&first, &OPTIONS).await.unwrap();
    assert_eq!(summary, Summary { users: 200, follows: 4_000, posts: 1_000 });
    seed(&second, &OPTIONS).await.unwrap();
    seed(&third, &SeedOptions { rng_seed: 8, ..OPTIONS }).await.unwrap();
    for sql in [FOLLOWS, BODIES] {
        let rows = first.column(sql).await;
        assert_eq!(rows, second.column(sql).await);
        assert_ne!(rows, third.column(sql).await, "another rng seed");
    }
    first.assert_healthy().await;
}

#[tokio::test]
async fn ids_contain_the_timestamps_and_users_are_older_than_their_posts() {
    let database = TestDatabase::new().await;
    seed(&database, &OPTIONS).await.unwrap();
    let users = entity::user::Entity::find().all(database.db.reader()).await.unwrap();
    let posts = entity::post::Entity::find().all(database.db.reader()).await.unwrap();
    let now = chrono::Utc::now();
    for post in &posts {
        let author = users.iter().find(|user| user.id == post.author_id).unwrap();
        assert!(author.created_at < post.created_at && post.created_at <= now);
        assert_eq!(post.created_at, snowflake::timestamp_of(post.id));
        assert!(author.created_at > now - YEAR * 2 - TimeDelta::minutes(1));
    }
    for user in &users {
        assert_eq!(user.created_at, snowflake::timestamp_of(user.id));
        assert_eq!(user.email, format!("{}@example.com", user.username));
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(user.username.len() <= 30 && user.username.bytes().all(is_valid), "{user:?}");
    }
    let max = users.iter().map(|user| user.followers_count).max();
    let min = users.iter().map(|user| user.followers_count).min();
    assert!(max > Some(80) && min < Some(20), "{max:?} and {min:?} around a mean of 20");
}

#[tokio::test]
async fn second_seed_adds_to_the_first() {
    let database = TestDatabase::new().await;
    seed(&database, &OPTIONS).await.unwrap();
    seed(&database, &OPTIONS).await.unwrap();
    assert_eq!((database.count("user").await, database.count("post").await), (400, 2_000));
    assert_eq!(database.count("follow").await, 8_000);
    database.assert_healthy().await;
}

#[tokio::test]
async fn concurrent_seeds_are_serialised() {
    let database = TestDatabase::new().await;
    let options = SeedOptions { rng_seed: 8, ..OPTIONS };
    tokio::try_join!(seed(&database, &OPTIONS), seed(&database, &options)).unwrap();
    assert_eq!(database.count("follow").await, 8_000);
    database.assert_healthy().await;
}

#[tokio::test]
async fn existing_usernames_are_skipped() {
    let (database, reference) = (TestDatabase::new().await, TestDatabase::new().await);
    let options = SeedOptions { users: 20, follows_per_user: 0, posts_per_user: 0, rng_seed: 1 };
    seed(&reference, &options).await.unwrap();
    let names = reference.column(r#"SELECT username FROM "user" ORDER BY id"#).await;
    // An existing user has the username that the second generated user would get.
    let stem = names[1].trim_end_matches(char::is_numeric);
    let existing = format!("{stem}2").to_uppercase();
    let sql = r#"INSERT INTO "user" (id, username, email, created_at)"#;
    let time = "2020-01-01T00:00:00+00:00";
    database.tamper(&format!("{sql} VALUES (5, '{existing}', 'a@b.c', '{time}')")).await;
    seed(&database, &options).await.unwrap();
    let names = database.column(r#"SELECT username FROM "user" ORDER BY id"#).await;
    assert!(names.contains(&format!("{stem}22")), "{names:?}");
    assert_eq!(names.len(), 21);
}

#[tokio::test]
async fn every_user_can_follow_all_others() {
    let database = TestDatabase::new().await;
    seed(&database, &SeedOptions { users: 30, follows_per_user: 29, ..OPTIONS }).await.unwrap();
    assert_eq!(database.count("follow").await, 30 * 29);
    database.assert_healthy().await;
    let single = SeedOptions { users: 1, follows_per_user: 0, ..OPTIONS };
    seed(&TestDatabase::new().await, &single).await.unwrap();
}

#[tokio::test]
async fn options_out_of_range_are_rejected() {
    let database = TestDatabase::new().await;
    for (options, message) in [
        (SeedOptions { users: 0, ..OPTIONS }, "--users must be at least 1"),
        (SeedOptions { follows_per_user: 200, ..OPTIONS }, "200 is not less than 200"),
        (SeedOptions { users: 10_000_001, ..OPTIONS }, "10000001 users exceed the maximum"),
        (SeedOptions { users: 5_000_000, ..OPTIONS }, "100000000 follows exceed the maximum"),
        (SeedOptions { posts_per_user: u32::MAX, ..OPTIONS }, "posts exceed the maximum"),
    ] {
        let error = seed(&database, &options).await.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(database.count("user").await, 0);
}

#[tokio::test]
async fn demo_data_is_added_to_an_empty_database_only() {
    let database = TestDatabase::new().await;
    assert!(demo(&database.db, "$argon2id$hash").await.unwrap());
    let cast = database
        .column(r#"SELECT username FROM "user" WHERE password_hash LIKE '%hash' ORDER BY id"#);
    assert_eq!(cast.await, ["john", "susan", "mary", "david"]);
    let first_follows = format!("SELECT * FROM ({FOLLOWS}) AS follows LIMIT 4");
    assert_eq!(
        database.column(&first_follows).await,
        ["john susan", "john david", "susan mary", "mary david"]
    );
    let newest = format!("SELECT * FROM ({BODIES} DESC) AS bodies LIMIT 1");
    assert_eq!(
        database.column(&newest).await,
        ["david: Post from David: the spring map begins today."]
    );
    let popular = r#"SELECT username FROM "user" ORDER BY followers_count DESC LIMIT 4"#;
    assert_eq!(database.column(popular).await, ["john", "mary", "susan", "david"]);
    assert_eq!(database.count("user").await, 304);
    database.assert_healthy().await;

    assert!(!demo(&database.db, "$argon2id$hash").await.unwrap());
    assert_eq!(database.count("user").await, 304);
}
