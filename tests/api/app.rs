//! The application under test: built as `serve` builds it, on a fresh database, without a port.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use clap::Parser;
use http_body_util::BodyExt as _;
use rookery::app::App;
use rookery::config::Config;
use rookery::database::Database;
use rookery::http::{self, Patience};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::cast::Actor;
use crate::postgres;

pub const PASSWORD: &str = "correct horse battery";

#[derive(Parser)]
#[command(args_override_self = true)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

/// A config with everything at its default, but a cheap argon2, and neither rates nor a lack of room: all tests come from one
/// network.
pub fn config(url: &str, more: &[&str]) -> Config {
    let arguments = ["test", "--database-url", url, "--argon2-memory-kib", "8"];
    let cheap = ["--argon2-iterations", "1", "--rate-attempts", "0"];
    let unlimited = ["--rate-network", "0", "--rate-user", "0", "--max-requests", "1000"];
    let all = arguments.iter().chain(&cheap).chain(&unlimited).chain(more);
    Arguments::parse_from(all).config
}

/// Where a test's database is. What was made for the test goes with it.
pub enum Place {
    File(TempDir),
    Copy(postgres::Copy),
    /// Somebody else keeps it.
    Server(String),
}

impl Place {
    /// On PostgreSQL, if there is a server for the tests.
    pub async fn new() -> Self {
        postgres::Copy::new().await.map_or_else(Self::file, Self::Copy)
    }

    /// On SQLite.
    pub fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    pub fn url(&self) -> String {
        match self {
            Self::File(folder) => format!("sqlite://{}", folder.path().join("test.db").display()),
            Self::Copy(copy) => copy.url(),
            Self::Server(url) => url.clone(),
        }
    }

    pub async fn open(&self) -> Database {
        Database::open(&config(&self.url(), &[]).database).await.unwrap()
    }
}

#[derive(Clone)]
pub struct TestApp {
    pub app: App,
    place: Arc<Place>,
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(options: &[&str]) -> Self {
        Self::at(Place::new().await, options).await
    }

    pub async fn at(place: impl Into<Arc<Place>>, options: &[&str]) -> Self {
        let place = place.into();
        let app = App::build(&config(&place.url(), options)).await.unwrap();
        Self { app, place }
    }

    pub fn is_on_postgres(&self) -> bool {
        !matches!(*self.place, Place::File(_))
    }

    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    pub fn database(&self) -> &Database {
        &self.app.database
    }

    pub fn folder(&self) -> &Path {
        let Place::File(folder) = &*self.place else { panic!("{} is no file", self.place.url()) };
        folder.path()
    }

    /// Serves it on a port, and says which; the options are for the server.
    pub async fn serve(&self, options: &[&str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let patience = Patience::from(&config(&self.place.url(), options));
        let mut stopping = self.app.stopping.subscribe();
        let stop = async move {
            http::stopped(&mut stopping).await;
        };
        let (router, stopping) = (self.app.router.clone(), self.app.stopping.clone());
        tokio::spawn(http::serve(listener, router, (stop, stopping), patience));
        address
    }

    pub fn anonymous(&self) -> Actor<'_> {
        Actor { app: self, username: String::new(), token: None, id: String::new() }
    }

    /// Registers a user, who is signed in.
    pub async fn join(&self, username: &str) -> Actor<'_> {
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

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// The whole answer to a document, errors and all.
    pub async fn post(&self, token: Option<&str>, body: &Value) -> Value {
        self.post_with(token, &HeaderMap::new(), body).await.2
    }

    /// The same with more headers, and with the answer's.
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

    /// How many SQL statements `work` takes.
    pub async fn statements<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let before = self.database().statements();
        let result = work.await;
        (result, self.database().statements() - before)
    }
}
