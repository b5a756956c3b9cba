//! HTTP: the GraphQL endpoint, the playground, the health check, and the server under them.

mod accept;
mod documents;
mod graphql;
mod guard;
mod health;
mod playground;
mod serve;
mod variables;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::Presence;
use crate::config::Limits;
use crate::database::Database;
use crate::schema::{Schema, code};

pub use documents::Documents;
pub use serve::serve;

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    pub schema: Schema,
    pub documents: Arc<Documents>,
    pub database: Database,
    pub presence: Presence,
    pub limits: Arc<Limits>,
    /// How long a request may take.
    pub timeout: Duration,
}

pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/graphql", any(graphql::handle))
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
