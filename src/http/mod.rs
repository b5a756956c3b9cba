//! HTTP: the GraphQL endpoint with its transports, the playground, the health check, and the server under
//! them. `execute` runs what `graphql`, `sse` and `websocket` have read.

mod accept;
mod documents;
mod execute;
mod graphql;
mod guard;
mod health;
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
mod variables;
mod websocket;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::{any, get};
use ipnet::IpNet;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::Presence;
use crate::config::{Limits, Origins};
use crate::database::{Database, Lsn};
use crate::error::Error;
use crate::schema::Schema;
use accept::MediaType;
use refusal::Refusal;

pub use documents::Documents;
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
    pub sockets: Sockets,
    pub room: Room,
    pub quota: Arc<Quota>,
    pub proxies: Arc<[IpNet]>,
    pub stopping: Stopping,
}

/// Turns true when the service stops. Whatever goes on for longer than a request listens, and is waited for.
pub type Stopping = Arc<watch::Sender<bool>>;

/// Waits until it does.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

pub fn router(shared: Shared) -> Router {
    let mut graphql = any(graphql::handle);
    if let Some(cors) = shared.origins.cors() {
        graphql = graphql.layer(cors);
    }
    Router::new()
        .route("/graphql", graphql)
        .route("/healthz", get(health::handle))
        .fallback(get(playground::handle))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(shared)
}

/// A panic outside of resolvers: logged with its message, answered without.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over like this")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    execute::panicked(&*panic);
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
