//! Streaming replicas: what a session wrote it reads at once, however far behind its replica is; and
//! without a replica the primary answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::cast::{Actor, texts};
use crate::server::Server;

const READ: &str = "{ user(by: {username: \"john\"}) { posts { nodes { body } } } }";

struct Stage {
    primary: Server,
    replica: Server,
    app: TestApp,
}

/// A primary with a replica that is in use.
async fn stage(options: &[&str]) -> Stage {
    let primary = Server::new(&[]);
    let replica = primary.replica();
    let url = replica.url();
    let replicas = ["--database-replica-urls", &url];
    let app = TestApp::at(primary.place(), &[options, &replicas].concat()).await;
    let stage = Stage { primary, replica, app };
    stage.wait(1).await;
    stage
}

impl Stage {
    /// Until so many replicas are in use.
    async fn wait(&self, replicas: usize) {
        let begun = Instant::now();
        while self.app.database().replicas_in_use() != replicas {
            assert!(begun.elapsed() < Duration::from_secs(20), "not {replicas} replicas in use");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The bodies of john's posts as somebody without a token sees them.
    async fn anonymous(&self) -> Vec<String> {
        bodies(&self.app.anonymous().query(READ).await)
    }

    /// Until they are these.
    async fn wait_for(&self, expected: &[&str]) {
        let begun = Instant::now();
        while self.anonymous().await != expected {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", self.anonymous().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn pause(&self) {
        self.replica.run("SELECT pg_wal_replay_pause()").await;
        // It stops between two records.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// None while the replica does not know the user yet.
fn bodies(data: &Value) -> Vec<String> {
    if data["user"].is_null() {
        return vec![];
    }
    texts(&data["user"]["posts"]["nodes"], "body")
}

/// Writes a post and returns the headers of the answer.
async fn write(john: &Actor<'_>, body: &str) -> HeaderMap {
    let create = format!(
        "mutation {{ createPost(input: {{body: \"{body}\"}}) {{
        post {{ body }} viewer: post {{ author {{ posts {{ nodes {{ body }} }} }} }} }} }}"
    );
    let query = json!({ "query": create });
    let (status, headers, body) =
        john.app.post_with(john.token.as_deref(), &HeaderMap::new(), &query).await;
    assert_eq!((status, body.get("errors")), (StatusCode::OK, None), "{body}");
    headers
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_what_it_wrote_from_a_replica_that_stands_still() {
    let stage = stage(&["--database-replica-lag", "3600"]).await;
    let john = stage.app.join("john").await;
    write(&john, "one").await;
    stage.wait_for(&["one"]).await;
    let url = stage.replica.url();
    let options = ["--database-replica-lag", "3600", "--database-replica-urls", &url];
    let other = TestApp::at(stage.primary.place(), &options).await;
    while other.database().replicas_in_use() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.pause().await;

    for (n, body) in ["two", "three", "four"].iter().enumerate() {
        let headers = write(&john, body).await;
        assert_eq!(stage.anonymous().await, ["one"], "others read from the replica");
        assert_eq!(john.timeline().await.len(), n + 2, "the writer does not");
        // Whoever is told the place reads what was there.
        let mut sent = HeaderMap::new();
        sent.insert("rookery-lsn", headers["rookery-lsn"].clone());
        let query = json!({ "query": READ });
        let (_, _, answer) = stage.app.post_with(None, &sent, &query).await;
        assert_eq!(bodies(&answer["data"]).len(), n + 2);
    }
    // Another instance knows the session's place from the session.
    assert_eq!(john.at(&other).timeline().await.len(), 4);
    assert_eq!(bodies(&other.anonymous().query(READ).await), ["one"]);

    // Somebody new is nowhere on the replica.
    let susan = stage.app.join("susan").await;
    assert!(susan.follow(&john).await);
    assert_eq!(susan.timeline().await, ["four", "three", "two", "one"]);
    assert_eq!(susan.at(&other).timeline().await.len(), 4);
    assert!(susan.at(&other).unfollow(&john).await);
    assert!(susan.timeline().await.is_empty());

    stage.replica.run("SELECT pg_wal_replay_resume()").await;
    stage.wait_for(&["four", "three", "two", "one"]).await;
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn without_a_replica_the_primary_answers() {
    let stage = stage(&[]).await;
    let john = stage.app.join("john").await;
    write(&john, "one").await;
    stage.wait_for(&["one"]).await;
    // The queries that find it gone are asked again.
    let gone = AtomicBool::new(false);
    let read = async |_| {
        while !gone.load(Ordering::Relaxed) || stage.app.database().replicas_in_use() > 0 {
            assert_eq!(stage.anonymous().await, ["one"]);
        }
    };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::task::block_in_place(|| stage.replica.stop());
        gone.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all((0..8).map(read)), stop);
    write(&john, "two").await;
    assert_eq!(stage.anonymous().await, ["two", "one"]);
    stage.replica.start();
    stage.wait(1).await;
    stage.wait_for(&["two", "one"]).await;

    // With the primary gone, what can be read is read.
    stage.primary.stop();
    assert_eq!(stage.anonymous().await, ["two", "one"]);
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_far_behind_is_not_asked() {
    let stage = stage(&["--database-replica-lag", "1"]).await;
    let john = stage.app.join("john").await;
    write(&john, "one").await;
    stage.wait_for(&["one"]).await;
    stage.pause().await;
    write(&john, "two").await;
    stage.wait(0).await;
    assert_eq!(stage.anonymous().await, ["two", "one"]);

    // Nor by an instance that starts now.
    let url = stage.replica.url();
    let other = TestApp::at(stage.primary.place(), &["--database-replica-urls", &url]).await;
    for _ in 0..20 {
        assert_eq!(bodies(&other.anonymous().query(READ).await), ["two", "one"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.replica.run("SELECT pg_wal_replay_resume()").await;
    stage.wait(1).await;
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_place_is_not_known_is_read_from_the_primary() {
    let stage = stage(&["--database-replica-lag", "3600"]).await;
    let john = stage.app.join("john").await;
    write(&john, "one").await;
    stage.wait_for(&["one"]).await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON session FOR EACH ROW
            WHEN (NEW.lsn < 9223372036854775807) EXECUTE FUNCTION refuse()";
    stage.primary.run(refuse).await;
    stage.pause().await;
    assert!(!write(&john, "two").await.contains_key("rookery-lsn"));
    assert_eq!(stage.anonymous().await, ["one"]);
    assert_eq!(john.timeline().await, ["two", "one"]);
    stage.primary.run("DROP TRIGGER refuse ON session").await;
    assert!(write(&john, "three").await.contains_key("rookery-lsn"));
    stage.replica.run("SELECT pg_wal_replay_resume()").await;
    stage.wait_for(&["three", "two", "one"]).await;
}

#[tokio::test]
async fn a_place_that_cannot_be_read_is_refused() {
    let app = TestApp::new().await;
    let mut headers = HeaderMap::new();
    headers.insert("rookery-lsn", "yesterday".parse().unwrap());
    let query = json!({ "query": "{ __typename }" });
    let (status, _, body) = app.post_with(None, &headers, &query).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    headers.insert("rookery-lsn", "FFFFFFFF/FFFFFFFF".parse().unwrap());
    let (status, answered, _) = app.post_with(None, &headers, &query).await;
    assert_eq!(status, StatusCode::OK, "nothing is newer than the primary");
    assert!(!answered.contains_key("rookery-lsn"));
}
