//! What is said of the service while it runs: lines on standard error, and spans for an OpenTelemetry collector, where that is
//! built in (`--features otlp`). Neither has documents or variables. Set up by `main`, before anything else.

use std::io::{IsTerminal as _, stderr};

use anyhow::{Context as _, Result};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::config::LogFormat;

#[cfg(feature = "otlp")]
mod spans;

/// Sends what is left when it is dropped.
pub type Spans = Box<dyn Send>;

/// Logs what the filter says. With the address of a collector, spans are sent there until what is returned is dropped.
///
/// # Errors
/// When the filter cannot be read, or the address; when there is an address and this build sends no spans.
pub fn begin(filter: &str, format: LogFormat, collector: Option<&str>) -> Result<Option<Spans>> {
    let wrong = || format!("'{filter}' does not say what to log");
    let filter = EnvFilter::builder().parse(filter).with_context(wrong)?;
    let lines = fmt::layer().with_ansi(stderr().is_terminal()).with_writer(stderr);
    let lines = match format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let log = tracing_subscriber::registry().with(filter).with(lines);
    let Some(collector) = collector else {
        log.init();
        return Ok(None);
    };
    #[cfg(feature = "otlp")]
    {
        let (layer, spans) = spans::to(collector)?;
        log.with(layer).init();
        Ok(Some(Box::new(spans)))
    }
    #[cfg(not(feature = "otlp"))]
    anyhow::bail!("this build sends no spans to {collector}: build it with --features otlp")
}
