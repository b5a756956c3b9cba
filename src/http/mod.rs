//! HTTP: the GraphQL endpoint with its transports, the playground, the health check, and the server under
//! them. `execute` runs what `graphql`, `sse` and `websocket` have read.

mod accept;
mod answer;
mod documents;
mod execute;
mod graphql;
mod guard;
mod health;
mod metrics;
mod note;
mod origin;
mod parameters;
mod peer;
mod persisted;
mod playground;
mod quota;
mod refusal;
mod room;
mod serve;
mod sockets;
mod sse;
mod stream;
mod task;
mod variables;
mod websocket;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any, get};
use ipnet::IpNet;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::Presence;
use crate::budget::Budget;
use crate::config::{Limits, Origins};
use crate::database::{Database, Lsn};
use crate::error::Error;
use crate::schema::Schema;
use crate::trace::Work;
use accept::MediaType;
use refusal::Refusal;

pub use documents::Documents;
pub use health::Asked;
pub use metrics::Metrics;
pub use peer::Peer;
pub use persisted::Persisted;
pub use quota::Quota;
pub use room::Room;
pub use serve::{Patience, serve};
pub use sockets::Sockets;

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    pub schema: Schema,
    pub documents: Arc<Documents>,
    pub persisted: Arc<Persisted>,
    pub origins: Origins,
    pub database: Database,
    pub presence: Presence,
    pub limits: Arc<Limits>,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long a client may take to begin.
    pub patience: Duration,
    /// How long it may take to read what it is sent.
    pub reading: Duration,
    pub sockets: Sockets,
    pub room: Room,
    pub budget: Budget,
    pub quota: Arc<Quota>,
    pub proxies: Arc<[IpNet]>,
    pub metrics: Arc<Metrics>,
    /// What takes longer is logged.
    pub slow: Duration,
    pub asked: Asked,
    pub stopping: Stopping,
}

/// How far the service has come. Whatever goes on for longer than a request listens, and is waited for.
pub type Stopping = Arc<watch::Sender<Stage>>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Serving,
    /// It still serves, and says that it soon will not.
    Leaving,
    Stopping,
}

/// Waits until it stops.
pub async fn stopped(stopping: &mut watch::Receiver<Stage>) {
    let _ = stopping.wait_for(|stage| *stage == Stage::Stopping).await;
}

pub fn router(shared: Shared) -> Router {
    let mut graphql = any(graphql::handle);
    if let Some(cors) = shared.origins.cors() {
        graphql = graphql.layer(cors);
    }
    Router::new()
        .route("/graphql", graphql)
        .merge(health_router())
        .fallback(get(playground::handle))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(known))
        .with_state(shared)
}

/// Each request is a piece of work with a number, and each answer has what browsers are to heed.
async fn known(request: Request, next: Next) -> Response {
    let work = Work::new();
    let number = HeaderValue::try_from(work.to_string());
    let mut response = work.within(next.run(request)).await;
    let headers = response.headers_mut();
    headers.extend(number.ok().map(|number| (REQUEST_ID, number)));
    headers.extend([NOSNIFF]);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The number of a request: it is in the log, too.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The metrics alone, for a listener of their own or beside the rest.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(async move || metrics.answer()))
}

/// Whether the service is alive and ready.
pub fn health_router() -> Router<Shared> {
    Router::new().route("/livez", get(health::alive)).route("/readyz", get(health::ready))
}

/// A panic outside of resolvers: logged with its message, answered without.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over like this")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    task::panicked(&*panic);
    Refusal::of(vec![execute::refusal(Error::Internal)]).into_response(MediaType::Json)
}

/// With replicas: sent with the answer to a mutation; a request that comes with it reads nothing older.
const LSN: HeaderName = HeaderName::from_static("rookery-lsn");

fn set_lsn(response: &mut Response, lsn: Option<Lsn>) {
    let lsn = lsn.and_then(|lsn| HeaderValue::try_from(lsn.to_string()).ok());
    response.headers_mut().extend(lsn.map(|lsn| (LSN, lsn)));
}

const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
