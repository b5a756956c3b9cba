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
mod persisted;
mod playground;
mod refusal;
mod serve;
mod sockets;
mod sse;
mod variables;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::Presence;
use crate::config::{Limits, Origins};
use crate::database::Database;
use crate::schema::{Schema, code};

pub use documents::Documents;
pub use persisted::Persisted;
pub use serve::serve;
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

/// A panic is our mistake: logged with its message, answered without.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over like this")]
fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    tracing::error!(message, "a request panicked");
    let body = serde_json::json!({ "errors": [{
        "message": "Something went wrong here. It has been logged.",
        "extensions": { "code": code::INTERNAL },
    }] });
    let mut response = body.to_string().into_response();
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
