//! Tests of the imports of blocks and of mutes.

use entity::mute;
use sea_orm::EntityTrait as _;

use super::*;

async fn import_blocks(database: &TestDatabase, edges: &str) -> anyhow::Result<pairs::Summary> {
    import_pairs(database, PairKind::Block, edges).await
}

async fn import_mutes(database: &TestDatabase, edges: &str) -> anyhow::Result<pairs::Summary> {
    import_pairs(database, PairKind::Mute, edges).await
}

/// Adds a request to follow between existing users.
async fn add_request(database: &TestDatabase, id: u8, requester: &str, target: &str) {
    let sql = format!(
        "INSERT INTO follow_request (id, requester_id, target_id)
        SELECT {id}, requester.id, target.id FROM \"user\" AS requester, \"user\" AS target
        WHERE requester.username = '{requester}' AND target.username = '{target}'"
    );
    database.tamper(&sql).await;
}

/// Adds the notifications of all follows and of all requests.
async fn add_notifications(database: &TestDatabase) {
    let sql = "INSERT INTO notification (id, user_id, kind, actor_id) \
        SELECT id, followed_id, 0, follower_id FROM follow \
        UNION ALL SELECT id, target_id, 1, requester_id FROM follow_request";
    database.tamper(sql).await;
    database.assert_healthy().await;
}

/// The pairs of a table as usernames, oldest first.
async fn pairs_of(database: &TestDatabase, table: &str, columns: [&str; 2]) -> Vec<String> {
    let [actor, target] = columns;
    let sql = format!(
        "SELECT one.username || ' ' || other.username FROM {table}
        JOIN \"user\" AS one ON one.id = {actor} JOIN \"user\" AS other ON other.id = {target}
        ORDER BY {table}.id"
    );
    database.column(&sql).await
}

/// Each user's name, and how many users they follow and how many follow them.
async fn follow_counts(database: &TestDatabase) -> Vec<String> {
    let sql = r#"SELECT username || ' ' || following_count || ' ' || followers_count FROM "user"
        ORDER BY username"#;
    database.column(sql).await
}

#[tokio::test]
async fn block_ends_follows_and_requests_in_both_directions() {
    let database = TestDatabase::new().await;
    import_follows(&database, "1 2\n2 1\n1 3\n4 1\n").await.unwrap();
    for (id, requester, target) in [(1, "u3", "u1"), (2, "u2", "u4"), (3, "u3", "u4")] {
        add_request(&database, id, requester, target).await;
    }
    add_notifications(&database).await;
    let blocks = "1 2\n1 3\n2 4\n5 1\n";
    let summary = import_blocks(&database, blocks).await.unwrap();
    let expected = pairs::Summary {
        pairs_read: 4,
        users_added: 1,
        pairs_added: 4,
        follows_deleted: 3,
        requests_deleted: 2,
        ..Default::default()
    };
    assert_eq!(summary, expected);
    let stored = pairs_of(&database, "block", ["blocker_id", "blocked_id"]).await;
    assert_eq!(stored, ["u1 u2", "u1 u3", "u2 u4", "u5 u1"]);
    assert_eq!(follows(&database).await, ["u4 u1"]);
    let requests = pairs_of(&database, "follow_request", ["requester_id", "target_id"]).await;
    assert_eq!(requests, ["u3 u4"]);
    let notifications = pairs_of(&database, "notification", ["actor_id", "user_id"]).await;
    assert_eq!(notifications, ["u3 u4", "u4 u1"]);
    let counts = ["u1 0 1", "u2 0 0", "u3 0 0", "u4 1 0", "u5 0 0"];
    assert_eq!(follow_counts(&database).await, counts);
    database.assert_healthy().await;

    let again = import_blocks(&database, blocks).await.unwrap();
    let expected = pairs::Summary { pairs_read: 4, existing: 4, ..Default::default() };
    assert_eq!(again, expected);
    assert_eq!(follow_counts(&database).await, counts);
}

#[tokio::test]
async fn follow_despite_a_block_is_not_imported() {
    let database = TestDatabase::new().await;
    import_blocks(&database, "1 2").await.unwrap();
    let summary = import_follows(&database, "1 2\n2 1\n1 3").await.unwrap();
    assert_eq!((summary.pairs_added, summary.duplicates), (1, 2));
    database.assert_healthy().await;
}

#[tokio::test]
async fn follow_of_a_file_ends_the_request() {
    let database = TestDatabase::new().await;
    import_follows(&database, "1 2\n2 3\n").await.unwrap();
    add_request(&database, 1, "u1", "u3").await;
    add_notifications(&database).await;
    let summary = import_follows(&database, "1 3\n").await.unwrap();
    assert_eq!((summary.pairs_added, summary.requests_deleted), (1, 0));
    assert_eq!(database.count("follow_request").await, 0);
    assert_eq!(database.count("notification").await, 2, "those of the older follows");
    database.assert_healthy().await;
}

#[tokio::test]
async fn mutes_are_imported_without_an_end_and_counted() {
    let database = TestDatabase::new().await;
    import_follows(&database, "1 2\n").await.unwrap();
    let mutes = "1 2\n1 3\n2 1\n1 2\n";
    let summary = import_mutes(&database, mutes).await.unwrap();
    let expected = pairs::Summary {
        pairs_read: 4,
        users_added: 1,
        pairs_added: 3,
        duplicates: 1,
        ..Default::default()
    };
    assert_eq!(summary, expected);
    let stored = pairs_of(&database, "mute", ["muter_id", "muted_id"]).await;
    assert_eq!(stored, ["u1 u2", "u1 u3", "u2 u1"]);
    for mute in mute::Entity::find().all(database.db.reader()).await.unwrap() {
        assert_eq!((mute.expires_at, mute.hides_notifications), (None, true));
    }
    let counts = r#"SELECT username || ' ' || mutes_count FROM "user" ORDER BY username"#;
    assert_eq!(database.column(counts).await, ["u1 2", "u2 1", "u3 0"]);
    assert_eq!(follows(&database).await, ["u1 u2"], "a mute ends no follow");
    database.assert_healthy().await;

    database.tamper("UPDATE mute SET hides_notifications = false").await;
    let again = import_mutes(&database, mutes).await.unwrap();
    let expected = pairs::Summary { pairs_read: 4, existing: 4, ..Default::default() };
    assert_eq!(again, expected);
    for mute in mute::Entity::find().all(database.db.reader()).await.unwrap() {
        assert!(!mute.hides_notifications, "an existing mute keeps its settings");
    }
}

#[tokio::test]
async fn file_of_several_statements_is_imported_whole_for_each_kind() {
    let database = TestDatabase::new().await;
    import_follows(&database, chain(9_000)).await.unwrap();
    let mutes = import_mutes(&database, &chain(9_000)).await.unwrap();
    assert_eq!((mutes.users_added, mutes.pairs_added), (0, 9_000));
    let blocks = import_blocks(&database, &chain(8_999)).await.unwrap();
    assert_eq!((blocks.pairs_added, blocks.follows_deleted), (8_999, 8_999));
    assert_eq!(follows(&database).await, ["u8999 u9000"]);
    database.assert_healthy().await;
}

#[tokio::test]
async fn invalid_line_imports_no_block_and_no_mute() {
    let database = TestDatabase::new().await;
    import_follows(&database, "1 2\n").await.unwrap();
    for kind in [PairKind::Block, PairKind::Mute] {
        let error = import_pairs(&database, kind, chain(5_000) + "1 1\n").await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("\n  line 5001 names user 1 twice"), "{error}");
    }
    assert_eq!((database.count("block").await, database.count("mute").await), (0, 0));
    assert_eq!((database.count("user").await, database.count("follow").await), (2, 1));
    database.assert_healthy().await;
}
