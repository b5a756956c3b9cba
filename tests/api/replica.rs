//! Streaming replicas of PostgreSQL.
//!
//! A session reads its own writes at once, however far its replica lags. The position of a write in
//! the WAL (LSN) is stored with the session, and sent to the client as `rookery-lsn`. If no replica
//! has replayed that position, or none is healthy, the primary serves the read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;
use crate::support::server::PostgresServer;

const READ: &str = "{ user(by: {username: \"john\"}) { posts { nodes { body } } } }";

/// A primary with a streaming replica, and an instance that uses both.
struct ReplicaSetup {
    primary: PostgresServer,
    replica: PostgresServer,
    app: TestApp,
}

impl ReplicaSetup {
    /// Starts both servers and the instance, and waits until the replica is healthy.
    async fn start(options: &[&str]) -> Self {
        let primary = PostgresServer::new(&[]);
        let replica = primary.replica();
        let url = replica.url();
        // A read that waits for a stopped server ends soon.
        let replicas = ["--database-replica-urls", &url, "--database-acquire-timeout", "4"];
        let app = TestApp::at(primary.database_fixture(), &[options, &replicas].concat()).await;
        let setup = Self { primary, replica, app };
        setup.wait_for_healthy_replicas(1).await;
        setup
    }

    async fn wait_for_healthy_replicas(&self, count: usize) {
        let start = Instant::now();
        while self.app.database().healthy_replicas() != count {
            assert!(start.elapsed() < Duration::from_secs(20), "not {count} healthy replicas");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The bodies of john's posts, as an anonymous client reads them.
    async fn anonymous_read(&self) -> Vec<String> {
        bodies(&self.app.anonymous().query(READ).await)
    }

    /// Waits until an anonymous client reads these bodies.
    async fn wait_for_bodies(&self, expected: &[&str]) {
        let start = Instant::now();
        while self.anonymous_read().await != expected {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", self.anonymous_read().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn pause_replay(&self) {
        self.replica.run("SELECT pg_wal_replay_pause()").await;
        // Replay pauses after the current WAL record.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    async fn resume_replay(&self) {
        self.replica.run("SELECT pg_wal_replay_resume()").await;
    }
}

/// The bodies of john's posts. Empty while the replica does not have the user yet.
fn bodies(data: &Value) -> Vec<String> {
    if data["user"].is_null() {
        return vec![];
    }
    texts(&data["user"]["posts"]["nodes"], "body")
}

/// Creates a post and returns the headers of the response.
async fn write(john: &Actor<'_>, body: &str) -> HeaderMap {
    let document = format!(
        "mutation {{ createPost(input: {{body: \"{body}\"}}) {{
        post {{ body }} viewer: post {{ author {{ posts {{ nodes {{ body }} }} }} }} }} }}"
    );
    let query = json!({ "query": document });
    let (status, headers, body) =
        john.app.post_with(john.token.as_deref(), &HeaderMap::new(), &query).await;
    assert_eq!((status, body.get("errors")), (StatusCode::OK, None), "{body}");
    headers
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_its_own_writes_while_replay_is_paused() {
    let setup = ReplicaSetup::start(&["--database-replica-lag", "3600"]).await;
    let john = setup.app.register("john").await;
    write(&john, "one").await;
    setup.wait_for_bodies(&["one"]).await;
    let url = setup.replica.url();
    let options = ["--database-replica-lag", "3600", "--database-replica-urls", &url];
    let other_instance = TestApp::at(setup.primary.database_fixture(), &options).await;
    while other_instance.database().healthy_replicas() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    setup.pause_replay().await;

    for (n, body) in ["two", "three", "four"].iter().enumerate() {
        let headers = write(&john, body).await;
        assert_eq!(setup.anonymous_read().await, ["one"], "other clients read from the replica");
        assert_eq!(john.timeline().await.len(), n + 2, "the writer reads from the primary");
        // A client that sends the LSN of the write reads that write too.
        let mut request_headers = HeaderMap::new();
        request_headers.insert("rookery-lsn", headers["rookery-lsn"].clone());
        let query = json!({ "query": READ });
        let (_, _, response) = setup.app.post_with(None, &request_headers, &query).await;
        assert_eq!(bodies(&response["data"]).len(), n + 2);
    }
    // Another instance reads the LSN of the last write from the session's row.
    assert_eq!(john.at(&other_instance).timeline().await.len(), 4);
    assert_eq!(bodies(&other_instance.anonymous().query(READ).await), ["one"]);

    // The replica does not have a new user yet.
    let susan = setup.app.register("susan").await;
    assert!(susan.follow(&john).await);
    assert_eq!(susan.timeline().await, ["four", "three", "two", "one"]);
    assert_eq!(susan.at(&other_instance).timeline().await.len(), 4);
    assert!(susan.at(&other_instance).unfollow(&john).await);
    assert!(susan.timeline().await.is_empty());

    setup.resume_replay().await;
    setup.wait_for_bodies(&["four", "three", "two", "one"]).await;
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn queries_move_to_the_primary_when_the_replica_stops() {
    let setup = ReplicaSetup::start(&[]).await;
    let john = setup.app.register("john").await;
    write(&john, "one").await;
    setup.wait_for_bodies(&["one"]).await;
    // A query that fails on the replica is repeated on the primary.
    let is_stopped = AtomicBool::new(false);
    let read = async |_| {
        while !is_stopped.load(Ordering::Relaxed) || setup.app.database().healthy_replicas() > 0 {
            assert_eq!(setup.anonymous_read().await, ["one"]);
        }
    };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::task::block_in_place(|| setup.replica.stop());
        is_stopped.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all((0..8).map(read)), stop);
    write(&john, "two").await;
    assert_eq!(setup.anonymous_read().await, ["two", "one"]);
    setup.replica.start();
    setup.wait_for_healthy_replicas(1).await;
    setup.wait_for_bodies(&["two", "one"]).await;

    // Without the primary, the replica still serves anonymous reads.
    setup.primary.stop();
    assert_eq!(setup.anonymous_read().await, ["two", "one"]);
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_beyond_the_lag_limit_is_not_read() {
    let setup = ReplicaSetup::start(&["--database-replica-lag", "1"]).await;
    let john = setup.app.register("john").await;
    write(&john, "one").await;
    setup.wait_for_bodies(&["one"]).await;
    setup.pause_replay().await;
    write(&john, "two").await;
    setup.wait_for_healthy_replicas(0).await;
    assert_eq!(setup.anonymous_read().await, ["two", "one"]);

    // An instance that starts now does not read from it either.
    let url = setup.replica.url();
    let other_instance =
        TestApp::at(setup.primary.database_fixture(), &["--database-replica-urls", &url]).await;
    for _ in 0..20 {
        assert_eq!(bodies(&other_instance.anonymous().query(READ).await), ["two", "one"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    setup.resume_replay().await;
    setup.wait_for_healthy_replicas(1).await;
}

#[ignore = "starts PostgreSQL servers"]
#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_from_the_primary_after_its_lsn_could_not_be_stored() {
    let setup = ReplicaSetup::start(&["--database-replica-lag", "3600"]).await;
    let john = setup.app.register("john").await;
    write(&john, "one").await;
    setup.wait_for_bodies(&["one"]).await;
    let reject_lsn = "CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE TRIGGER reject BEFORE UPDATE ON session FOR EACH ROW
            WHEN (NEW.lsn < 9223372036854775807) EXECUTE FUNCTION reject()";
    setup.primary.run(reject_lsn).await;
    setup.pause_replay().await;
    assert!(!write(&john, "two").await.contains_key("rookery-lsn"));
    assert_eq!(setup.anonymous_read().await, ["one"]);
    assert_eq!(john.timeline().await, ["two", "one"]);
    setup.primary.run("DROP TRIGGER reject ON session").await;
    assert!(write(&john, "three").await.contains_key("rookery-lsn"));
    setup.resume_replay().await;
    setup.wait_for_bodies(&["three", "two", "one"]).await;
}

#[tokio::test]
async fn a_malformed_lsn_header_is_rejected_and_one_from_the_future_accepted() {
    let app = TestApp::new().await;
    let mut headers = HeaderMap::new();
    headers.insert("rookery-lsn", "yesterday".parse().unwrap());
    let query = json!({ "query": "{ __typename }" });
    let (status, _, body) = app.post_with(None, &headers, &query).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    headers.insert("rookery-lsn", "FFFFFFFF/FFFFFFFF".parse().unwrap());
    let (status, response_headers, _) = app.post_with(None, &headers, &query).await;
    assert_eq!(status, StatusCode::OK, "the primary is never behind");
    assert!(!response_headers.contains_key("rookery-lsn"));
}
