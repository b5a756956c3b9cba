//! Generated graphs: as many rows as asked for, the same each time, and a healthy database after.

use indicatif::ProgressBar;
use sea_orm::EntityTrait as _;

use super::*;
use crate::command::testing::Bench;
use crate::key;

const PLAN: Plan = Plan { users: 200, follows_per_user: 20, posts_per_user: 5, rng_seed: 7 };
const EDGES: &str = r#"
    SELECT one.username || ' ' || other.username FROM follow
    JOIN "user" AS one ON one.id = follower_id JOIN "user" AS other ON other.id = followed_id
    ORDER BY follow.id"#;
const BODIES: &str = r#"
    SELECT username || ': ' || body FROM post JOIN "user" ON "user".id = author_id
    ORDER BY post.id"#;

async fn seed(bench: &Bench, plan: &Plan) -> anyhow::Result<Summary> {
    run(&bench.db, plan, &ProgressBar::hidden()).await
}

#[tokio::test]
async fn the_same_seed_gives_the_same_graph() {
    let (one, two, other) = (Bench::new().await, Bench::new().await, Bench::new().await);
    let summary = seed(&one, &PLAN).await.unwrap();
    assert_eq!(summary, Summary { users: 200, follows: 4_000, posts: 1_000 });
    seed(&two, &PLAN).await.unwrap();
    seed(&other, &Plan { rng_seed: 8, ..PLAN }).await.unwrap();
    for sql in [EDGES, BODIES] {
        let rows = one.column(sql).await;
        assert_eq!(rows, two.column(sql).await);
        assert_ne!(rows, other.column(sql).await);
    }
    one.assert_healthy().await;
}

#[tokio::test]
async fn rows_hold_their_moments_and_users_come_before_their_posts() {
    let bench = Bench::new().await;
    seed(&bench, &PLAN).await.unwrap();
    let users = entity::user::Entity::find().all(bench.db.reader()).await.unwrap();
    let posts = entity::post::Entity::find().all(bench.db.reader()).await.unwrap();
    let now = chrono::Utc::now();
    for post in &posts {
        let author = users.iter().find(|user| user.id == post.author_id).unwrap();
        assert!(author.created_at < post.created_at && post.created_at <= now);
        assert_eq!(post.created_at, key::time_of(post.id));
        assert!(author.created_at > now - YEAR * 2 - TimeDelta::minutes(1));
    }
    for user in &users {
        assert_eq!(user.created_at, key::time_of(user.id));
        assert_eq!(user.email, format!("{}@example.com", user.username));
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(user.username.len() <= 30 && user.username.bytes().all(valid), "{user:?}");
    }
    let most = users.iter().map(|user| user.followers_count).max();
    let least = users.iter().map(|user| user.followers_count).min();
    assert!(most > Some(80) && least < Some(20), "{most:?} and {least:?} around a mean of 20");
}

#[tokio::test]
async fn a_second_seed_adds_to_the_first() {
    let bench = Bench::new().await;
    seed(&bench, &PLAN).await.unwrap();
    seed(&bench, &PLAN).await.unwrap();
    assert_eq!((bench.count("user").await, bench.count("post").await), (400, 2_000));
    assert_eq!(bench.count("follow").await, 8_000);
    bench.assert_healthy().await;
}

#[tokio::test]
async fn two_seeds_at_once_wait_for_each_other() {
    let bench = Bench::new().await;
    let (one, other) = (seed(&bench, &PLAN), seed(&bench, &Plan { rng_seed: 8, ..PLAN }));
    tokio::try_join!(one, other).unwrap();
    assert_eq!(bench.count("follow").await, 8_000);
    bench.assert_healthy().await;
}

#[tokio::test]
async fn usernames_in_use_are_passed_over() {
    let (bench, twin) = (Bench::new().await, Bench::new().await);
    let plan = Plan { users: 20, follows_per_user: 0, posts_per_user: 0, rng_seed: 1 };
    seed(&twin, &plan).await.unwrap();
    let names = twin.column(r#"SELECT username FROM "user" ORDER BY id"#).await;
    // One user is there before, with the name that the seed's second user would get.
    let stem = names[1].trim_end_matches(char::is_numeric);
    let taken = format!("{stem}2").to_uppercase();
    let sql = r#"INSERT INTO "user" (id, username, email, created_at)"#;
    let time = "2020-01-01T00:00:00+00:00";
    bench.tamper(&format!("{sql} VALUES (5, '{taken}', 'a@b.c', '{time}')")).await;
    seed(&bench, &plan).await.unwrap();
    let names = bench.column(r#"SELECT username FROM "user" ORDER BY id"#).await;
    assert!(names.contains(&format!("{stem}22")), "{names:?}");
    assert_eq!(names.len(), 21);
}

#[tokio::test]
async fn everybody_can_follow_everybody() {
    let bench = Bench::new().await;
    seed(&bench, &Plan { users: 30, follows_per_user: 29, ..PLAN }).await.unwrap();
    assert_eq!(bench.count("follow").await, 30 * 29);
    bench.assert_healthy().await;
    seed(&Bench::new().await, &Plan { users: 1, follows_per_user: 0, ..PLAN }).await.unwrap();
}

#[tokio::test]
async fn numbers_that_make_no_sense_are_refused() {
    let bench = Bench::new().await;
    for (plan, words) in [
        (Plan { users: 0, ..PLAN }, "at least one user"),
        (Plan { follows_per_user: 200, ..PLAN }, "at most 199 others"),
        (Plan { users: 10_000_001, ..PLAN }, "10000001 users are too many"),
        (Plan { users: 5_000_000, ..PLAN }, "100000000 follows are too many"),
        (Plan { posts_per_user: u32::MAX, ..PLAN }, "posts are too many"),
    ] {
        let error = seed(&bench, &plan).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(bench.count("user").await, 0);
}

#[tokio::test]
async fn the_demonstration_fills_an_empty_database_only() {
    let bench = Bench::new().await;
    assert!(demo(&bench.db, "a hash").await.unwrap());
    let cast =
        bench.column(r#"SELECT username FROM "user" WHERE password_hash = 'a hash' ORDER BY id"#);
    assert_eq!(cast.await, ["john", "susan", "mary", "david"]);
    let friends = format!("SELECT * FROM ({EDGES}) AS edges LIMIT 4");
    let edges = ["john susan", "john david", "susan mary", "mary david"];
    assert_eq!(bench.column(&friends).await, edges);
    let newest = format!("SELECT * FROM ({BODIES} DESC) AS bodies LIMIT 1");
    assert_eq!(
        bench.column(&newest).await,
        ["david: Post from David: the spring map begins today."]
    );
    let popular = r#"SELECT username FROM "user" ORDER BY followers_count DESC LIMIT 4"#;
    assert_eq!(bench.column(popular).await, ["john", "mary", "susan", "david"]);
    assert_eq!(bench.count("user").await, 304);
    bench.assert_healthy().await;

    assert!(!demo(&bench.db, "a hash").await.unwrap());
    assert_eq!(bench.count("user").await, 304);
}
