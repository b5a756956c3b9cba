//! Liveness and readiness.
//!
//! The server is alive if it responds. It is ready if the database responds and no shutdown has
//! started. The database is queried at most once a second, however often readiness is requested.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use sea_orm::ConnectionTrait as _;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::AppState;

/// How long a result is reused.
const CACHE_TTL: Duration = Duration::from_secs(1);
/// How long the database may take to respond.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// When the database was queried last, and whether it responded.
pub type ReadinessCache = Arc<Mutex<Option<(Instant, bool)>>>;

pub async fn livez() -> &'static str {
    "ok\n"
}

pub async fn readyz(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.shutdown.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    if database_is_up(&state).await {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not respond\n")
    }
}

async fn database_is_up(state: &AppState) -> bool {
    let mut cache = state.readiness.lock().await;
    match *cache {
        Some((at, is_up)) if at.elapsed() < CACHE_TTL => is_up,
        previous => {
            let query = state.engine.services.db.reader().execute_unprepared("SELECT 1");
            let is_up = matches!(timeout(QUERY_TIMEOUT, query).await, Ok(Ok(_)));
            if is_up != previous.is_none_or(|(_, was_up)| was_up) {
                tracing::warn!(is_up, "database readiness changed");
            }
            *cache = Some((Instant::now(), is_up));
            is_up
        }
    }
}
