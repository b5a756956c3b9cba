//! The HTTP server: its routes, the transports of `/graphql`, and shutdown.

mod access_log;
mod client_ip;
mod cross_origin;
mod error;
mod health;
mod negotiation;
mod playground;
mod server;
mod shutdown;
mod transports;

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use ipnet::IpNet;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::{HttpConfig, Origins};
use crate::database::Lsn;
use crate::error::Error;
use crate::graphql::{GraphqlEngine, isolation};
use crate::telemetry::{Metrics, RequestScope};
use error::HttpError;
use negotiation::MediaType;

pub use client_ip::Peer;
pub use health::ReadinessCache;
pub use server::{ServerLimits, ServerOptions, serve};
pub use shutdown::Shutdown;
pub use transports::embedded;

/// Media type of the metrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The state that all handlers share.
#[derive(Clone)]
pub struct AppState(Arc<AppParts>);

/// What [`AppState`] shares.
pub struct AppParts {
    engine: Arc<GraphqlEngine>,
    origins: Origins,
    proxies: Arc<[IpNet]>,
    has_playground: bool,
    read_timeout: Duration,
    write_timeout: Duration,
    readiness: ReadinessCache,
    shutdown: Shutdown,
}

impl Deref for AppState {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

impl AppState {
    pub fn new(engine: Arc<GraphqlEngine>, config: &HttpConfig, shutdown: Shutdown) -> Self {
        Self(Arc::new(AppParts {
            engine,
            origins: config.cors_origins.clone(),
            proxies: config.trusted_proxies.0.clone().into(),
            has_playground: !config.no_playground,
            read_timeout: Duration::from_secs(config.read_timeout),
            write_timeout: Duration::from_secs(config.write_timeout),
            readiness: ReadinessCache::default(),
            shutdown,
        }))
    }
}

/// All routes of the server.
pub fn router(state: AppState) -> Router {
    let mut graphql = any(transports::handle);
    if let Some(cors) = state.origins.cors() {
        graphql = graphql.layer(cors);
    }
    // Outside of the CORS layer, which itself responds to every preflight.
    let preflight = from_fn_with_state(state.clone(), cross_origin::reject_untrusted_preflight);
    let graphql = graphql.layer(preflight);
    let router = Router::new().route("/graphql", graphql).merge(health_routes());
    let router = if state.has_playground {
        router.fallback(playground::handle)
    } else {
        router.fallback(playground::disabled)
    };
    router
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(security_headers())
        .layer(from_fn(with_request_scope))
        .with_state(state)
}

/// Liveness and readiness, without the other routes.
pub fn health_router(state: AppState) -> Router {
    health_routes().with_state(state)
}

fn health_routes() -> Router<AppState> {
    Router::new().route("/livez", get(health::livez)).route("/readyz", get(health::readyz))
}

/// The metrics, for a listener of their own or beside the other routes.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    let handler = async move || {
        let media_type = HeaderValue::from_static(OPENMETRICS);
        ([(header::CONTENT_TYPE, media_type)], metrics.scrape()).into_response()
    };
    Router::new().route("/metrics", get(handler))
}

type HeaderLayer = SetResponseHeaderLayer<HeaderValue>;

/// Headers that restrict what a browser does with a response.
///
/// A handler may set a content security policy of its own.
fn security_headers()
-> (HeaderLayer, HeaderLayer, HeaderLayer, HeaderLayer, HeaderLayer, HeaderLayer) {
    let set = |name, value| HeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    (
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        set(header::REFERRER_POLICY, "no-referrer"),
        set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        set(
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    )
}

/// Runs each request in its own scope, whose id is sent to the client and logged.
async fn with_request_scope(request: Request, next: Next) -> Response {
    let scope = RequestScope::new();
    let id = HeaderValue::try_from(scope.to_string());
    let mut response = scope.scope(next.run(request)).await;
    response.headers_mut().extend(id.ok().map(|id| (REQUEST_ID, id)));
    response
}

/// The header with the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Responds to a panic outside of resolvers, whose message is logged and not sent.
#[allow(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
fn on_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    isolation::log_panic(&*panic);
    HttpError::from(Error::Internal).into_response(MediaType::Json)
}

/// The header with the WAL position of a mutation's write.
///
/// A request that sends it reads no older state.
const LSN_HEADER: HeaderName = HeaderName::from_static("rookery-lsn");

fn set_lsn(response: &mut Response, lsn: Option<Lsn>) {
    let lsn = lsn.and_then(|lsn| HeaderValue::try_from(lsn.to_string()).ok());
    response.headers_mut().extend(lsn.map(|lsn| (LSN_HEADER, lsn)));
}
