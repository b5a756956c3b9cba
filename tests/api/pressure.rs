//! Under pressure: a single connection for reading is enough for everything, and readers do not let the
//! write-ahead log grow.

use std::time::Duration;

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;

use crate::app::{PASSWORD, Place, TestApp};

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
    let app = TestApp::at(Place::file(), &[]).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_long_reader_elsewhere_stops_nobody() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let elsewhere = app.place().open().await;
    let reading = elsewhere.reader().begin().await.unwrap();
    reading.execute_unprepared("SELECT count(*) FROM post").await.unwrap();
    app.database().keep_log_shorter_than(0, Duration::from_millis(10));
    let work = async {
        for _ in 0..40 {
            john.follow(&susan).await;
            john.unfollow(&susan).await;
        }
    };
    // Four seconds is how long the engine would wait for that reader, each time.
    let done = tokio::time::timeout(Duration::from_secs(4), work).await;
    assert!(done.is_ok(), "everybody waited for a reader in another process");
    reading.rollback().await.unwrap();
}
