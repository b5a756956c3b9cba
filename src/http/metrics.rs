//! What the service says of itself at /metrics, as Prometheus reads it. Labels are from small sets: an operation is
//! called by its name when the operator has it in a file of trusted documents, and by its first field otherwise, for
//! a client may call it anything.

use std::time::Duration;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::schema::code_of;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds.
const LATENCIES: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const STATEMENTS: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
    r#type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

type Reading = Box<dyn Fn() -> i64 + Send + Sync>;

pub struct Metrics {
    registry: Registry,
    seconds: Family<Operation, Histogram>,
    statements: Family<Operation, Histogram>,
    errors: Family<Code, Counter>,
    user_errors: Family<Code, Counter>,
    /// What is looked up when somebody asks.
    readings: Vec<(Gauge, Reading)>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rookery");
        let seconds = Family::new_with_constructor((|| Histogram::new(LATENCIES)) as fn() -> _);
        let statements = Family::new_with_constructor((|| Histogram::new(STATEMENTS)) as fn() -> _);
        let errors = Family::default();
        let help = "How long operations took; subscriptions, until they were subscribed";
        registry.register("operation_seconds", help, seconds.clone());
        let help = "SQL statements that operations took";
        registry.register("operation_statements", help, statements.clone());
        let help = "Errors that clients were told, by extensions.code";
        registry.register("errors", help, errors.clone());
        let user_errors = Family::default();
        let help = "Failures that mutations told of as data, by their code";
        registry.register("user_errors", help, user_errors.clone());
        Self { registry, seconds, statements, errors, user_errors, readings: vec![] }
    }
}

impl Metrics {
    /// A number that is read whenever somebody asks.
    pub fn read(
        &mut self,
        name: &str,
        help: &str,
        reading: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        let gauge = Gauge::default();
        self.registry.register(name, help, gauge.clone());
        self.readings.push((gauge, Box::new(reading)));
    }

    pub(super) fn operation(
        &self,
        name: &str,
        ty: OperationType,
        (took, statements): (Duration, u64),
    ) {
        let operation = Operation { operation: name.to_owned(), r#type: ty.to_string() };
        self.seconds.get_or_create(&operation).observe(took.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "they are few")]
        self.statements.get_or_create(&operation).observe(statements as f64);
    }

    pub(super) fn errors(&self, errors: &[ServerError]) {
        for error in errors {
            let code = code_of(error).unwrap_or_default().to_owned();
            self.errors.get_or_create(&Code { code }).inc();
        }
    }

    pub(super) fn user_errors(&self, codes: &[&'static str]) {
        for code in codes {
            let code = (*code).to_owned();
            self.user_errors.get_or_create(&Code { code }).inc();
        }
    }

    /// All of it, in the text format of `OpenMetrics`.
    pub fn answer(&self) -> Response {
        for (gauge, reading) in &self.readings {
            gauge.set(reading());
        }
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        let mut response = text.into_response();
        let open_metrics = HeaderValue::from_static(OPEN_METRICS);
        response.headers_mut().insert(header::CONTENT_TYPE, open_metrics);
        response
    }
}
