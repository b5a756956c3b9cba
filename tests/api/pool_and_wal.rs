//! The smallest read pool, and the WAL of SQLite under load.
//!
//! One read connection is enough for all requests, because no request holds it while it waits. The
//! checkpointer keeps the WAL short while clients read, and does not stall writers.

use std::time::Duration;

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;

use crate::support::app::{PASSWORD, TestApp, TestDatabase};

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_a_pool_of_one_read_connection_succeed() {
    let app = TestApp::with(&["--database-max-read-connections", "1"]).await;
    let actors = app.actors().await;
    let john = &actors.john;
    let login = format!(
        "mutation {{ login(input: {{username: \"susan\", password: \"{PASSWORD}\"}}) {{
            viewer {{ user {{ username timeline {{ nodes {{ id }} }} }} }} userErrors {{ code }} }} }}"
    );
    // With a token, as the playground sends it. No login may wait while it holds the connection.
    let logins = join_all((0..12).map(|_| john.query(&login))).await;
    assert!(logins.iter().all(|data| data["login"]["userErrors"] == json!([])));

    // A write that waits for the write lock does not block readers.
    let write_transaction = app.database().begin().await.unwrap();
    let write = async {
        let followed = john.follow(&actors.mary).await;
        assert!(followed);
    };
    let read = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let read = tokio::time::timeout(Duration::from_secs(2), actors.susan.timeline()).await;
        assert!(read.is_ok(), "the reader waited for the writer");
        write_transaction.rollback().await.unwrap();
    };
    join(write, read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wal_stays_short_under_concurrent_reads_and_writes() {
    let app = TestApp::at(TestDatabase::sqlite_file(), &[]).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let wal = app.folder().join("test.db-wal");
    app.database().start_wal_checkpointer_with(256 * 1024, Duration::from_millis(20));
    let longest = std::sync::atomic::AtomicU64::new(0);
    let writing = async {
        for _ in 0..300 {
            john.follow(&susan).await;
            john.unfollow(&susan).await;
            let length = std::fs::metadata(&wal).unwrap().len();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_long_read_in_another_process_does_not_stall_writers() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let other_process = app.database_fixture().open().await;
    let reading = other_process.reader().begin().await.unwrap();
    reading.execute_unprepared("SELECT count(*) FROM post").await.unwrap();
    app.database().start_wal_checkpointer_with(0, Duration::from_millis(10));
    let work = async {
        for _ in 0..40 {
            john.follow(&susan).await;
            john.unfollow(&susan).await;
        }
    };
    // At each checkpoint SQLite would wait for that reader, up to the acquire timeout of 60 s.
    let finished = tokio::time::timeout(Duration::from_secs(50), work).await;
    assert!(finished.is_ok(), "the writers waited for a reader in another process");
    reading.rollback().await.unwrap();
}
