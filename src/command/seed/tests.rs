//! Generated graphs have the planned size, are reproducible and pass `doctor`.

use indicatif::ProgressBar;
use sea_orm::{EntityTrait as _, QueryOrder as _};

use super::*;
use crate::command::testing::TestDatabase;
use crate::ids::snowflake;

const OPTIONS: SeedOptions = SeedOptions {
    users: 200,
    follows_per_user: 20,
    posts_per_user: 5,
    replies_percent: 30,
    likes_per_post: 5,
    reposts_per_100_posts: 10,
    protected_percent: 3,
    blocks_per_100_users: 20,
    requests_per_100_users: 20,
    mutes_per_100_users: 50,
    rng_seed: 7,
};
const PLANNED: Summary = Summary {
    users: 200,
    protected_users: 6,
    follows: 4_000,
    posts: 1_000,
    replies: 300,
    likes: 5_000,
    reposts: 100,
    blocks: 40,
    requests: 40,
    mutes: 100,
};
const FOLLOWS: &str = r#"
    SELECT one.username || ' ' || other.username FROM follow
    JOIN "user" AS one ON one.id = follower_id JOIN "user" AS other ON other.id = followed_id
    ORDER BY follow.id"#;
const BODIES: &str = r#"
    SELECT username || ': ' || body FROM post JOIN "user" ON "user".id = author_id
    ORDER BY post.id"#;

const REPLIES: &str = r"
    SELECT parent.body || ' < ' || reply.body FROM post AS reply
    JOIN post AS parent ON parent.id = reply.in_reply_to_id ORDER BY reply.id";
const LIKES: &str = r#"
    SELECT username || ' ' || body FROM "like" JOIN "user" ON "user".id = user_id
    JOIN post ON post.id = post_id ORDER BY "like".id"#;
const REPOSTS: &str = r#"
    SELECT username || ' ' || body FROM feed_item JOIN "user" ON "user".id = actor_id
    JOIN post ON post.id = post_id WHERE kind = 2 ORDER BY feed_item.id"#;

const PROTECTED: &str = r#"SELECT username FROM "user" WHERE is_protected ORDER BY id"#;

/// SQL that selects the pairs of a table as usernames, oldest first.
fn pairs(table: PairTable, actor: &str, target: &str) -> String {
    let table = table.name();
    format!(
        "SELECT one.username || ' ' || other.username FROM {table}
        JOIN \"user\" AS one ON one.id = {actor} JOIN \"user\" AS other ON other.id = {target}
        ORDER BY {table}.id"
    )
}

async fn seed(database: &TestDatabase, options: &SeedOptions) -> anyhow::Result<Summary> {
    run(&database.db, options, &ProgressBar::hidden()).await
}

#[tokio::test]
async fn same_rng_seed_generates_the_same_graph() {
    let (first, second, third) =
        (TestDatabase::new().await, TestDatabase::new().await, TestDatabase::new().await);
    let summary = seed(&first, &OPTIONS).await.unwrap();
    assert_eq!(summary, PLANNED);
    seed(&second, &OPTIONS).await.unwrap();
    seed(&third, &SeedOptions { rng_seed: 8, ..OPTIONS }).await.unwrap();
    let blocks = pairs(PairTable::Block, "blocker_id", "blocked_id");
    let requests = pairs(PairTable::FollowRequest, "requester_id", "target_id");
    let mutes = pairs(PairTable::Mute, "muter_id", "muted_id");
    let pairs = [blocks.as_str(), requests.as_str(), mutes.as_str()];
    for sql in [FOLLOWS, BODIES, PROTECTED, REPLIES, LIKES, REPOSTS].into_iter().chain(pairs) {
        let rows = first.column(sql).await;
        assert_eq!(rows, second.column(sql).await);
        assert_ne!(rows, third.column(sql).await, "another rng seed");
    }
    first.assert_healthy().await;
}

#[tokio::test]
async fn relationships_have_the_planned_numbers_and_change_no_follows_or_posts() {
    let (database, reference) = (TestDatabase::new().await, TestDatabase::new().await);
    seed(&database, &OPTIONS).await.unwrap();
    let without = SeedOptions {
        protected_percent: 0,
        blocks_per_100_users: 0,
        requests_per_100_users: 0,
        mutes_per_100_users: 0,
        ..OPTIONS
    };
    let expected = Summary { protected_users: 0, blocks: 0, requests: 0, mutes: 0, ..PLANNED };
    assert_eq!(seed(&reference, &without).await.unwrap(), expected);
    for sql in [FOLLOWS, BODIES] {
        assert_eq!(database.column(sql).await, reference.column(sql).await);
    }
    assert_eq!(database.column(PROTECTED).await.len(), 6);
    for (table, count) in [("block", 40), ("follow_request", 40), ("mute", 100)] {
        assert_eq!(database.count(table).await, count, "{table}");
        assert_eq!(reference.count(table).await, 0, "{table}");
    }
    let wrong_requests = r#"SELECT 'request ' || follow_request.id FROM follow_request
        JOIN "user" ON "user".id = target_id WHERE NOT is_protected"#;
    let wrong_requests = database.column(wrong_requests).await;
    assert!(wrong_requests.is_empty(), "of users who are not protected: {wrong_requests:?}");
    database.assert_healthy().await;
    reference.assert_healthy().await;
}

#[tokio::test]
async fn replies_likes_and_reposts_have_the_planned_numbers_and_change_no_other_rows() {
    let (database, reference) = (TestDatabase::new().await, TestDatabase::new().await);
    seed(&database, &OPTIONS).await.unwrap();
    let without =
        SeedOptions { replies_percent: 0, likes_per_post: 0, reposts_per_100_posts: 0, ..OPTIONS };
    let expected = Summary { replies: 0, likes: 0, reposts: 0, ..PLANNED };
    assert_eq!(seed(&reference, &without).await.unwrap(), expected);
    let blocks = pairs(PairTable::Block, "blocker_id", "blocked_id");
    let mutes = pairs(PairTable::Mute, "muter_id", "muted_id");
    for sql in [FOLLOWS, BODIES, PROTECTED, blocks.as_str(), mutes.as_str()] {
        assert_eq!(database.column(sql).await, reference.column(sql).await);
    }
    for (sql, count) in [(REPLIES, 300), (LIKES, 5_000), (REPOSTS, 100)] {
        assert_eq!(database.column(sql).await.len(), count, "{sql}");
        assert_eq!(reference.column(sql).await.len(), 0, "{sql}");
    }
    // Each option changes its own rows only.
    let fewer = SeedOptions { replies_percent: 0, likes_per_post: 2, ..OPTIONS };
    let fewer_database = TestDatabase::new().await;
    seed(&fewer_database, &fewer).await.unwrap();
    assert_eq!(database.column(REPOSTS).await, fewer_database.column(REPOSTS).await);
    database.assert_healthy().await;
    reference.assert_healthy().await;
}

/// The rule of each kind of reaction, for many blocks and protected users.
#[tokio::test]
async fn users_react_only_to_posts_that_they_may_react_to() {
    let database = TestDatabase::new().await;
    let options = SeedOptions {
        users: 60,
        follows_per_user: 5,
        protected_percent: 30,
        blocks_per_100_users: 500,
        likes_per_post: 15,
        reposts_per_100_posts: 200,
        ..OPTIONS
    };
    let summary = seed(&database, &options).await.unwrap();
    assert_eq!((summary.replies, summary.likes, summary.reposts), (90, 4_500, 600));
    assert!(summary.blocks > 200, "{summary}");
    let likes = r#"SELECT user_id AS actor, post_id AS target, id FROM "like""#;
    let reposts = "SELECT actor_id AS actor, post_id AS target, id FROM feed_item WHERE kind = 2";
    let replies = "SELECT author_id AS actor, in_reply_to_id AS target, id FROM post
        WHERE in_reply_to_id IS NOT NULL";
    for (reactions, is_wrong) in [
        (likes, "actor = author_id"),
        (reposts, "actor = author_id OR is_protected"),
        (replies, "false"),
    ] {
        let wrong = format!(
            r#"SELECT username FROM ({reactions}) AS reaction JOIN post ON post.id = target
            JOIN "user" ON "user".id = author_id
            WHERE {is_wrong} OR post.id > reaction.id
            OR (is_protected AND actor <> author_id AND NOT EXISTS (SELECT 1 FROM follow
                WHERE follower_id = actor AND followed_id = author_id))
            OR EXISTS (SELECT 1 FROM block WHERE (blocker_id = actor AND blocked_id = author_id)
                OR (blocker_id = author_id AND blocked_id = actor))"#
        );
        let wrong = database.column(&wrong).await;
        assert!(wrong.is_empty(), "{reactions}: {wrong:?}");
    }
    database.assert_healthy().await;
}

#[tokio::test]
async fn few_posts_have_most_likes_and_newer_posts_have_more() {
    let database = TestDatabase::new().await;
    let options = SeedOptions { posts_per_user: 20, ..OPTIONS };
    seed(&database, &options).await.unwrap();
    let posts = entity::post::Entity::find()
        .order_by_asc(entity::post::Column::Id)
        .all(database.db.reader())
        .await
        .unwrap();
    let newer: i32 = posts[2_000..].iter().map(|post| post.likes_count).sum();
    assert!(newer > 12_000, "{newer} of 20000");
    let mut counts: Vec<i32> = posts.iter().map(|post| post.likes_count).collect();
    counts.sort_unstable();
    let popular: i32 = counts[3_600..].iter().sum();
    // Of random posts, a tenth would have a fifth of the likes.
    assert!(popular > 6_000, "{popular} of 20000");
    let longest = posts.iter().map(|post| post.replies_count).max();
    assert!(longest > Some(5), "{longest:?}");
}

#[tokio::test]
async fn there_are_as_many_reactions_as_users_can_have() {
    let database = TestDatabase::new().await;
    let options = SeedOptions {
        users: 5,
        follows_per_user: 1,
        protected_percent: 0,
        blocks_per_100_users: 0,
        likes_per_post: 50,
        reposts_per_100_posts: 5_000,
        replies_percent: 100,
        ..OPTIONS
    };
    let summary = seed(&database, &options).await.unwrap();
    assert_eq!((summary.posts, summary.likes, summary.reposts), (25, 25 * 4, 25 * 4));
    assert_eq!(summary.replies, 24, "the first post replies to none");
    database.assert_healthy().await;
}

#[tokio::test]
async fn without_protected_users_there_are_no_requests() {
    let database = TestDatabase::new().await;
    let options = SeedOptions { protected_percent: 0, ..OPTIONS };
    let summary = seed(&database, &options).await.unwrap();
    assert_eq!(summary, Summary { protected_users: 0, requests: 0, ..PLANNED });
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
    let options =
        SeedOptions { users: 20, follows_per_user: 0, posts_per_user: 0, rng_seed: 1, ..OPTIONS };
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
    let all = SeedOptions { users: 30, follows_per_user: 29, protected_percent: 50, ..OPTIONS };
    let summary = seed(&database, &all).await.unwrap();
    assert_eq!(database.count("follow").await, 30 * 29);
    assert_eq!((summary.blocks, summary.requests, summary.mutes), (0, 0, 15));
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
        (SeedOptions { protected_percent: 101, ..OPTIONS }, "must be at most 100"),
        (SeedOptions { replies_percent: 101, ..OPTIONS }, "must be at most 100"),
        (SeedOptions { likes_per_post: 10_001, ..OPTIONS }, "10001000 likes exceed the maximum"),
        (SeedOptions { mutes_per_100_users: u32::MAX, ..OPTIONS }, "mutes exceed the maximum"),
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
    let counts = "SELECT likes_count || ' ' || replies_count || ' ' || reposts_count || ' ' || body
        FROM post WHERE replies_count + reposts_count > 0 ORDER BY id";
    assert_eq!(
        database.column(counts).await,
        [
            "0 0 1 Ring 4471 came home: Sussex to the Cape and back, nineteen grams of bird.",
            "1 2 0 Does anyone know a good way to count a flock that will not sit still?",
            "2 1 0 There is seed cake in the hut for all who help with the nets on Saturday.",
        ]
    );
    assert_eq!(database.count("like").await, 12);
    assert_eq!(database.count("user").await, 304);
    database.assert_healthy().await;

    assert!(!demo(&database.db, "$argon2id$hash").await.unwrap());
    assert_eq!(database.count("user").await, 304);
}
