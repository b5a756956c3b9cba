//! Faults: a full disk loses nothing that was acknowledged and heals by itself; readers and the log do
//! not stand in each other's way; a single connection for reading is enough for everything.

use std::time::Duration;

use entity::post;
use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait as _, EntityTrait as _, PaginatorTrait as _};
use serde_json::json;

use crate::app::{PASSWORD, TestApp};

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let database = app.database();
    // As long as this connection lives, the file may not grow.
    database.writer().execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
    let create = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }";
    let long = json!({ "body": "x".repeat(4_900) });
    let mut acknowledged = 0;
    let mut refused = 0;
    for _ in 0..60 {
        let answer = john.ask(create, long.clone()).await;
        match answer["data"]["createPost"]["post"]["id"].as_str() {
            Some(_) => acknowledged += 1,
            None => refused += 1,
        }
    }
    assert!(refused > 0, "the disk was never full");
    let data =
        john.query("{ viewer { user { postsCount posts { totalCount nodes { id } } } } }").await;
    let user = &data["viewer"]["user"];
    assert_eq!(user["postsCount"], acknowledged, "what was acknowledged is there");
    let stored = post::Entity::find().count(database.reader()).await.unwrap();
    assert_eq!(stored, acknowledged);
    john.write("there is room again").await;
    assert_eq!(john.timeline().await[0], "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_for_reading_is_enough() {
    let app = TestApp::with(&["--database-readers", "1"]).await;
    let cast = app.cast().await;
    let john = &cast.john;
    let login = format!(
        "mutation {{ login(input: {{username: \"susan\", password: \"{PASSWORD}\"}}) {{
            viewer {{ user {{ username timeline {{ nodes {{ id }} }} }} }} userErrors {{ code }} }} }}"
    );
    // With a token, as the playground sends it: no login waits for the connection that it holds.
    let logins = join_all((0..12).map(|_| john.query(&login))).await;
    assert!(logins.iter().all(|data| data["login"]["userErrors"] == json!([])));

    // A write that waits for its turn keeps nobody from reading.
    let turn = app.database().begin().await.unwrap();
    let write = async {
        let followed = john.follow(&cast.mary).await;
        assert!(followed);
    };
    let read = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let read = tokio::time::timeout(Duration::from_secs(2), cast.susan.timeline()).await;
        assert!(read.is_ok(), "the reader waited for the writer");
        turn.rollback().await.unwrap();
    };
    join(write, read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_stays_short_under_steady_load() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let log = app.folder().join("test.db-wal");
    app.database().keep_log_shorter_than(256 * 1024, Duration::from_millis(20));
    let longest = std::sync::atomic::AtomicU64::new(0);
    let writing = async {
        for _ in 0..300 {
            john.follow(&susan).await;
            john.unfollow(&susan).await;
            let length = std::fs::metadata(&log).unwrap().len();
            longest.fetch_max(length, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let reading = join_all((0..4).map(|_| async {
        loop {
            app.anonymous().query("{ users { nodes { followersCount } } }").await;
        }
    }));
    futures_util::future::select(Box::pin(writing), Box::pin(reading)).await;
    let longest = longest.into_inner();
    assert!((1..2 * 1024 * 1024).contains(&longest), "{longest} bytes");
}
