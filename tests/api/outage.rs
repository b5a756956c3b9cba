//! Database outages: busy, stopped, restarted, or unreachable.
//!
//! A request that cannot be served fails within its timeouts, with a code that says whether to send
//! it again: `UNAVAILABLE`, `TIMEOUT` or `OUTCOME_UNKNOWN`. When the database is back, the service
//! recovers without a restart.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode, header};
use futures_util::future::join_all;
use rookery::database::Snapshot;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::app::{TestApp, TestDatabase};
use crate::support::server::PostgresServer;

const READ: &str = "{ users { nodes { username } } }";
const WRITE: &str = "mutation { createPost(input: {body: \"Hi\"}) { post { id } } }";
/// Fails after 1 second without a free connection.
const SHORT_ACQUIRE_TIMEOUT: [&str; 2] = ["--database-acquire-timeout", "1"];

async fn execute(
    app: &TestApp,
    token: Option<&str>,
    document: &str,
) -> (StatusCode, HeaderMap, Value) {
    app.post_with(token, &HeaderMap::new(), &json!({ "query": document })).await
}

/// Asserts that a request fails within 30 seconds with `UNAVAILABLE`.
///
/// The response has status 503 and `Retry-After: 1`.
async fn assert_unavailable(app: &TestApp, token: Option<&str>, document: &str) {
    let start = Instant::now();
    let (status, headers, body) = execute(app, token, document).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{body}");
    assert_eq!(headers[header::RETRY_AFTER], "1");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_unavailable_while_all_connections_are_in_use() {
    let pools = ["--database-max-read-connections", "1", "--database-max-write-connections", "1"];
    let app = TestApp::with(&[&SHORT_ACQUIRE_TIMEOUT[..], &pools].concat()).await;
    let john = app.register("john").await;
    let token = john.token.as_deref();
    let writer = app.database().begin().await.unwrap();
    assert_unavailable(&app, token, WRITE).await;
    writer.rollback().await.unwrap();
    john.write("again").await;
    let reader = Snapshot::new(app.database());
    reader.transaction().await.unwrap();
    assert_unavailable(&app, token, WRITE).await;
    assert_unavailable(&app, None, READ).await;
    drop(reader);
    app.anonymous().query(READ).await;
}

#[tokio::test]
async fn a_failed_document_of_two_mutations_is_not_marked_retryable() {
    let pool = ["--database-max-write-connections", "1"];
    let app = TestApp::with(&[&SHORT_ACQUIRE_TIMEOUT[..], &pool].concat()).await;
    let john = app.register("john").await;
    let writer = app.database().begin().await.unwrap();
    let document = "mutation { one: logout { changed } two: logout { changed } }";
    let (status, _, body) = execute(&app, john.token.as_deref(), document).await;
    assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{body}");
    assert_eq!(status, StatusCode::OK, "the first of the two may have been executed");
    writer.rollback().await.unwrap();
}

#[ignore = "starts a PostgreSQL server"]
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beyond_its_timeout_fails_and_the_service_goes_on() {
    let server = PostgresServer::new(&[]);
    let limits = ["--database-acquire-timeout", "30", "--database-statement-timeout", "1"];
    let app = TestApp::at(server.database_fixture(), &limits).await;
    let john = app.register("john").await;
    let other_process = server.database_fixture().open().await;
    let lock = other_process.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE post").await.unwrap();
    let (status, _, body) = execute(&app, john.token.as_deref(), WRITE).await;
    assert_eq!(body["errors"][0]["extensions"]["code"], "TIMEOUT", "{body}");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    lock.rollback().await.unwrap();
    john.write("again").await;
}

#[ignore = "starts a PostgreSQL server"]
#[tokio::test(flavor = "multi_thread")]
async fn requests_succeed_again_after_the_database_restarts() {
    let server = PostgresServer::new(&[]);
    let app = TestApp::at(server.database_fixture(), &SHORT_ACQUIRE_TIMEOUT).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    for _ in 0..3 {
        server.stop();
        for token in [None, john.token.as_deref()] {
            assert_unavailable(&app, token, READ).await;
        }
        assert_unavailable(&app, john.token.as_deref(), WRITE).await;
        let login = "mutation { login(input: {username: \"john\", password: \"?\"}) { token } }";
        assert_unavailable(&app, None, login).await;
        server.start();
        john.follow(&susan).await;
        assert_eq!(john.query(READ).await["users"]["nodes"].as_array().unwrap().len(), 2);
    }
}

#[ignore = "starts a PostgreSQL server"]
#[tokio::test(flavor = "multi_thread")]
async fn stopping_the_database_loses_no_acknowledged_write() {
    let server = PostgresServer::new(&[]);
    let app = TestApp::at(server.database_fixture(), &SHORT_ACQUIRE_TIMEOUT).await;
    let john = app.register("john").await;
    let write = async |_| {
        let mut acknowledged = 0;
        loop {
            let (_, _, body) = execute(&app, john.token.as_deref(), WRITE).await;
            match body["errors"][0]["extensions"]["code"].as_str() {
                None => acknowledged += 1,
                Some("UNAVAILABLE") => return (acknowledged, 0),
                Some("OUTCOME_UNKNOWN") => return (acknowledged, 1),
                Some(_) => panic!("{body}"),
            }
        }
    };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        tokio::task::block_in_place(|| server.stop());
    };
    let (outcomes, ()) = tokio::join!(join_all((0..4).map(write)), stop);
    let acknowledged: i64 = outcomes.iter().map(|(acknowledged, _)| acknowledged).sum();
    let unknown: i64 = outcomes.iter().map(|(_, unknown)| unknown).sum();
    assert!(acknowledged > 10, "{acknowledged}");
    server.start();
    let count = "{ viewer { user { postsCount posts { totalCount } } } }";
    let user = &john.query(count).await["viewer"]["user"];
    let stored = user["postsCount"].as_i64().unwrap();
    assert!((acknowledged..=acknowledged + unknown).contains(&stored), "{acknowledged} {user}");
    assert_eq!(user["posts"]["totalCount"], stored);
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_leaves_no_transaction_open() {
    let app = TestApp::with(&[
        "--database-max-read-connections",
        "2",
        "--database-max-write-connections",
        "1",
    ])
    .await;
    assert!(app.is_on_postgres());
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let open_transactions = app.database().statement(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND state = 'idle in transaction'",
        [],
    );
    let observer = app.database_fixture().open().await;
    for n in 0..600 {
        let cancelled_after = Duration::from_micros(n * 7 % 70 * 100);
        let document = if n % 2 == 0 { READ } else { WRITE };
        let _ =
            tokio::time::timeout(cancelled_after, execute(&app, john.token.as_deref(), document))
                .await;
        if n % 5 == 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let row = observer.reader().query_one_raw(open_transactions.clone()).await;
            let row = row.unwrap().unwrap();
            assert_eq!(row.try_get_by::<i64, _>(0).unwrap(), 0, "open transactions");
        }
    }
    john.follow(&susan).await;
    for n in 0..10 {
        susan.write(&n.to_string()).await;
        assert_eq!(john.timeline().await[0], n.to_string());
    }
}

/// A TCP proxy in front of the port `server`, which can silence its connections.
///
/// Returns its port, and a sender that silences open connections. A silenced connection stays open
/// and transfers nothing, like a connection to a host that has vanished.
async fn proxy(server: u16) -> (u16, watch::Sender<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (silence, silenced) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut silenced = silenced.clone();
            silenced.mark_unchanged();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = silenced.changed() => std::future::pending().await,
                }
            });
        }
    });
    (port, silence)
}

#[ignore = "starts a PostgreSQL server"]
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_host_that_has_vanished_are_replaced() {
    let server = PostgresServer::new(&[]);
    let (port, silence) = proxy(server.port()).await;
    let url = server.url().replace(&server.port().to_string(), &port.to_string());
    let limits = ["--database-max-read-connections", "2", "--database-statement-timeout", "1"];
    let short = ["--request-timeout", "2"];
    let options = [&SHORT_ACQUIRE_TIMEOUT[..], &limits, &short].concat();
    let app = TestApp::at(TestDatabase::External(url), &options).await;
    let john = app.register("john").await;
    join_all((0..8).map(|_| john.query(READ))).await;
    let query_repeatedly = async |_| {
        for _ in 0..20 {
            execute(&app, None, READ).await;
        }
    };
    let lose_host = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        silence.send(1).unwrap();
    };
    tokio::join!(join_all((0..4).map(query_repeatedly)), lose_host);
    let start = Instant::now();
    while execute(&app, None, READ).await.0 != StatusCode::OK {
        assert!(start.elapsed() < Duration::from_secs(15), "the pool did not recover");
    }
    john.query(READ).await;
}
