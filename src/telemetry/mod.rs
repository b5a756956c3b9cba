//! Logs, spans and metrics.
//!
//! Log lines are written to standard error by a thread of their own, so that a full pipe delays no
//! request. Lines beyond 10,000 are dropped. Builds with `--features otlp` can send
//! spans to an OpenTelemetry collector. Neither contains documents or variables, because these may
//! be personal or secret. [`Metrics`] are scraped in the format OpenMetrics. `main` calls [`init`]
//! before anything else.

use std::io::{IsTerminal as _, stderr};

use anyhow::{Context as _, Result};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::config::LogFormat;

mod access_log;
mod metrics;
pub mod request_scope;
#[cfg(feature = "otlp")]
mod spans;

pub use access_log::{AccessEntry, AccessLog};
pub use metrics::Metrics;
pub use request_scope::{OperationTimer, RequestScope};

/// Maximum number of log lines that wait for standard error.
const MAX_BUFFERED_LINES: usize = 10_000;

/// Writes the log lines and sends the spans that are left when it is dropped.
pub struct TelemetryGuard {
    _spans: Option<Box<dyn Send>>,
    _lines: WorkerGuard,
}

/// Starts logging, and sending spans to an OpenTelemetry collector.
///
/// `filter` selects the log lines and spans, and `collector` is a URL. Spans are sent until the
/// returned guard is dropped.
///
/// # Errors
/// When the filter or the URL is malformed, or when there is a collector and this build cannot send
/// spans.
pub fn init(filter: &str, format: LogFormat, collector: Option<&str>) -> Result<TelemetryGuard> {
    let malformed = || format!("'{filter}' is not a log filter");
    let filter = EnvFilter::builder().parse(filter).with_context(malformed)?;
    let writer = NonBlockingBuilder::default().buffered_lines_limit(MAX_BUFFERED_LINES);
    let (writer, lines_guard) = writer.finish(stderr());
    let lines = fmt::layer().with_ansi(stderr().is_terminal()).with_writer(writer);
    let lines = match format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    let Some(collector) = collector else {
        subscriber.init();
        return Ok(TelemetryGuard { _spans: None, _lines: lines_guard });
    };
    #[cfg(feature = "otlp")]
    {
        let (layer, guard) = spans::otlp_layer(collector)?;
        subscriber.with(layer).init();
        Ok(TelemetryGuard { _spans: Some(Box::new(guard)), _lines: lines_guard })
    }
    #[cfg(not(feature = "otlp"))]
    anyhow::bail!("this build cannot send spans to {collector}; it needs --features otlp")
}
