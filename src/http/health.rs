//! The health check: 200 while the database answers, 503 when it does not.

use axum::extract::State;
use axum::http::StatusCode;
use sea_orm::ConnectionTrait as _;

use super::Shared;

pub async fn handle(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    match shared.database.reader().execute_unprepared("SELECT 1").await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::error!(%error, "the health check failed");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}
