//! Prometheus metrics of operations and errors.
//!
//! The state of the server, such as pools and permits, is collected in `app/collector.rs`. Labels
//! have few values: an operation's name is the one in the operator's file of trusted documents, or
//! else the schema's name of its first field, because a client may choose any name.

use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Buckets of durations in seconds.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Buckets of numbers of SQL statements.
const STATEMENTS: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: String,
    r#type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: String,
}

/// The registry, and the metrics that requests record.
pub struct Metrics {
    registry: parking_lot::RwLock<Registry>,
    durations: Family<OperationLabels, Histogram>,
    statements: Family<OperationLabels, Histogram>,
    errors: Family<CodeLabel, Counter>,
    user_errors: Family<CodeLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rookery");
        let durations = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> _);
        let statements = Family::new_with_constructor((|| Histogram::new(STATEMENTS)) as fn() -> _);
        let (errors, user_errors) = (Family::default(), Family::default());
        registry.register(
            "operation_duration_seconds",
            "Duration of executed operations, of a subscription for each event",
            durations.clone(),
        );
        registry.register(
            "operation_sql_statements",
            "SQL statements of executed operations, of a subscription for each event",
            statements.clone(),
        );
        registry.register("errors", "Errors in responses, by extensions.code", errors.clone());
        registry.register("user_errors", "User errors of mutations, by code", user_errors.clone());
        Self { registry: registry.into(), durations, statements, errors, user_errors }
    }
}

impl Metrics {
    /// Adds metrics that are read whenever they are scraped.
    pub fn register_collector(&self, collector: impl Collector) {
        self.registry.write().register_collector(Box::new(collector));
    }

    /// Records an executed operation.
    pub fn record_operation(&self, name: &str, ty: &str, elapsed: Duration, statements: u64) {
        let labels = OperationLabels { operation: name.to_owned(), r#type: ty.to_owned() };
        self.durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "a request has few statements")]
        self.statements.get_or_create(&labels).observe(statements as f64);
    }

    /// Counts an error with this code.
    pub fn record_error(&self, code: &str) {
        self.errors.get_or_create(&CodeLabel { code: code.to_owned() }).inc();
    }

    /// Counts user errors with these codes.
    pub fn record_user_errors(&self, codes: &[&'static str]) {
        for code in codes {
            self.user_errors.get_or_create(&CodeLabel { code: (*code).to_owned() }).inc();
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub fn scrape(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry.read()) {
            tracing::error!(%error, "could not encode the metrics");
        }
        text
    }
}
