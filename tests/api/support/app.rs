//! The application under test, on a fresh database and without a port.
//!
//! It is built as `serve` builds it. Each test has a database of its own, so that all tests can run
//! concurrently. Most requests go through the router in process; [`TestApp::serve`] opens a port
//! for tests of connections.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use clap::Parser;
use http_body_util::BodyExt as _;
use indicatif::ProgressBar;
use rookery::app::App;
use rookery::command::doctor;
use rookery::config::Config;
use rookery::database::Database;
use rookery::http::{self, ServerLimits, ServerOptions};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::support::actors::Actor;
use crate::support::postgres;

/// The password of all users that [`TestApp::register`] registers.
pub const PASSWORD: &str = "correct horse battery";

#[derive(Parser)]
#[command(args_override_self = true)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

/// The default configuration, changed for tests and by the given options.
///
/// Password hashes are fast, there is no mail, and there are no rate limits. All requests of a test
/// come from one client network, so limits per network are off or high.
pub fn config(url: &str, options: &[&str]) -> Config {
    let arguments = ["test", "--database-url", url, "--argon2-memory-kib", "8"];
    let fast_hashes = ["--argon2-iterations", "1", "--credential-attempts-per-minute", "0"];
    let unlimited = [
        "--rate-limit-per-network",
        "0",
        "--rate-limit-per-user",
        "0",
        "--max-concurrent-requests",
        "1000",
    ];
    // The task that sends mails would execute statements at any time.
    let without_mail = ["--mail-folder", "none"];
    // The tests also pass on a busy machine.
    let patient = ["--database-acquire-timeout", "60", "--request-timeout", "60"];
    let all = arguments.iter().chain(&fast_hashes).chain(&unlimited).chain(&without_mail);
    Arguments::parse_from(all.chain(&patient).chain(options)).config
}

/// The database of a test. One that was created for the test is removed with it.
pub enum TestDatabase {
    /// An SQLite file in a temporary folder.
    SqliteFile(TempDir),
    /// A copy of the migrated template database.
    PostgresCopy(postgres::Copy),
    /// A database at a URL that is managed elsewhere.
    External(String),
}

impl TestDatabase {
    /// A PostgreSQL database if the tests have a server, otherwise an SQLite file.
    pub async fn new() -> Self {
        postgres::Copy::new().await.map_or_else(Self::sqlite_file, Self::PostgresCopy)
    }

    /// An SQLite file, whether or not there is a PostgreSQL server.
    pub fn sqlite_file() -> Self {
        Self::SqliteFile(tempfile::tempdir().unwrap())
    }

    pub fn url(&self) -> String {
        match self {
            Self::SqliteFile(folder) => {
                format!("sqlite://{}", folder.path().join("test.db").display())
            }
            Self::PostgresCopy(copy) => copy.url(),
            Self::External(url) => url.clone(),
        }
    }

    /// Opens the database with connections of its own, as another process would.
    pub async fn open(&self) -> Database {
        Database::open(&config(&self.url(), &[]).database).await.unwrap()
    }
}

/// One instance of the application.
#[derive(Clone)]
pub struct TestApp {
    pub app: App,
    database_fixture: Arc<TestDatabase>,
}

/// Two instances on one PostgreSQL database. On SQLite, the same instance twice.
pub async fn two_instances() -> (TestApp, TestApp) {
    let first = TestApp::new().await;
    if !first.is_on_postgres() {
        let same = first.clone();
        return (first, same);
    }
    let second = TestApp::at(Arc::clone(first.database_fixture()), &[]).await;
    (first, second)
}

impl TestApp {
    /// An instance with default options on a new database.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// An instance with the given options on a new database.
    pub async fn with(options: &[&str]) -> Self {
        Self::at(TestDatabase::new().await, options).await
    }

    /// An instance with the given options on the given database.
    pub async fn at(database: impl Into<Arc<TestDatabase>>, options: &[&str]) -> Self {
        let database_fixture = database.into();
        let app = App::build(&config(&database_fixture.url(), options)).await.unwrap();
        Self { app, database_fixture }
    }

    pub fn is_on_postgres(&self) -> bool {
        !matches!(*self.database_fixture, TestDatabase::SqliteFile(_))
    }

    pub fn database_fixture(&self) -> &Arc<TestDatabase> {
        &self.database_fixture
    }

    pub fn database(&self) -> &Database {
        &self.app.database
    }

    /// The number of events in the outbox.
    pub async fn event_count(&self) -> i64 {
        let count = self.database().statement("SELECT count(*) FROM event", []);
        let row = self.database().writer().query_one_raw(count).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Waits until all transactions that are older than the newest event have ended.
    ///
    /// Panics after 1 minute. A cursor that is read after it stays valid when the events before it
    /// are pruned.
    pub async fn await_older_transactions(&self) {
        if self.is_on_postgres() {
            postgres::await_older_transactions(self.database().writer()).await;
        }
    }

    /// Prunes the outbox until at most `remaining` events are left.
    ///
    /// Panics after 1 minute. An older transaction on the PostgreSQL server delays pruning, even a
    /// transaction of another database.
    pub async fn prune_events_to(&self, remaining: i64) {
        let pruned = async {
            while self.event_count().await > remaining {
                self.app.events.prune().await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_mins(1), pruned).await.expect("expired events are pruned");
    }

    /// The folder of the SQLite file.
    pub fn folder(&self) -> &Path {
        let TestDatabase::SqliteFile(folder) = &*self.database_fixture else {
            panic!("{} is not an SQLite file", self.database_fixture.url())
        };
        folder.path()
    }

    /// Serves the application on a port with the given server options.
    ///
    /// Returns the address.
    pub async fn serve(&self, options: &[&str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let limits = ServerLimits::from(&config(&self.database_fixture.url(), options));
        let (router, shutdown) = (self.app.router.clone(), self.app.shutdown.clone());
        let signal = shutdown.clone();
        let stop = async move { signal.shutting_down().await };
        let options = ServerOptions { limits, shutdown, access_log: None };
        tokio::spawn(http::serve(listener, router, stop, options));
        address
    }

    /// The report of `rookery doctor`.
    pub async fn doctor_report(&self) -> String {
        doctor::run(self.database(), false, &ProgressBar::hidden()).await.unwrap().to_string()
    }

    pub fn anonymous(&self) -> Actor<'_> {
        Actor { app: self, username: String::new(), token: None, id: String::new() }
    }

    /// Registers a user and signs it in.
    pub async fn register(&self, username: &str) -> Actor<'_> {
        let input = json!({
            "username": username,
            "email": format!("{username}@example.com"),
            "password": PASSWORD,
        });
        let register = "mutation ($input: RegisterInput!) { register(input: $input) {
            token viewer { user { id } } userErrors { code message } } }";
        let data = self.anonymous().run(register, json!({ "input": input })).await;
        let payload = &data["register"];
        assert_eq!(payload["userErrors"], json!([]));
        Actor {
            app: self,
            username: username.to_owned(),
            token: payload["token"].as_str().map(str::to_owned),
            id: payload["viewer"]["user"]["id"].as_str().unwrap().to_owned(),
        }
    }

    /// Sends a request through the router. Returns status, headers and body.
    pub async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// Posts a JSON body to `/graphql`.
    ///
    /// Returns the GraphQL response, including errors.
    pub async fn post(&self, token: Option<&str>, body: &Value) -> Value {
        self.post_with(token, &HeaderMap::new(), body).await.2
    }

    /// Like [`post`](Self::post), with more request headers.
    ///
    /// Returns the response's status and headers too.
    pub async fn post_with(
        &self,
        token: Option<&str>,
        headers: &HeaderMap,
        body: &Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "tests");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut request = request.body(Body::from(body.to_string())).unwrap();
        request.headers_mut().extend(headers.clone());
        let (status, headers, body) = self.send(request).await;
        (status, headers, serde_json::from_str(&body).unwrap())
    }

    /// Awaits `work`, and counts the SQL statements executed meanwhile.
    ///
    /// Returns the result of `work` and the number of statements.
    pub async fn count_statements<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let before = self.database().statements();
        let result = work.await;
        (result, self.database().statements() - before)
    }
}
