//! Whether the service is alive, which it is when it answers, and whether it is ready: the database answers, and nobody has
//! told it to stop. However many ask, the database is asked once a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use sea_orm::ConnectionTrait as _;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Shared, Stage};

/// How long an answer of the database holds, and how long it may take.
const HOLDS: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

/// When the database was asked last, and whether it answered.
pub type Asked = Arc<Mutex<Option<(Instant, bool)>>>;

pub async fn alive() -> &'static str {
    "ok\n"
}

pub async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if *shared.stopping.borrow() != Stage::Serving {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if answers(&shared).await {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
    }
}

async fn answers(shared: &Shared) -> bool {
    let mut asked = shared.asked.lock().await;
    match *asked {
        Some((at, answered)) if at.elapsed() < HOLDS => answered,
        before => {
            let answer = shared.database.reader().execute_unprepared("SELECT 1");
            let answers = matches!(timeout(PATIENCE, answer).await, Ok(Ok(_)));
            // Told when it changes, not each time that somebody asks.
            if answers != before.is_none_or(|(_, answered)| answered) {
                tracing::warn!(answers, "whether the database answers has changed");
            }
            *asked = Some((Instant::now(), answers));
            answers
        }
    }
}
