//! Prometheus metrics that are read from the parts of the server at each scrape.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;

use crate::auth::{Passwords, TokenIssuer};
use crate::database::{Database, Engine};
use crate::events::EventHub;
use crate::limits::{ConcurrencyLimiter, CostRateLimiter, ResponseMemory, StreamLimiter};
use crate::mail::Outbox;

/// The parts of the server whose state is exported.
#[derive(Clone)]
pub struct ServerCollector {
    pub database: Database,
    pub passwords: Passwords,
    pub mail: Option<Outbox>,
    pub events: EventHub,
    pub streams: StreamLimiter,
    pub concurrency: ConcurrencyLimiter,
    pub response_memory: ResponseMemory,
    pub cost_limiter: Arc<CostRateLimiter>,
    pub token_issuer: Option<Arc<TokenIssuer>>,
}

impl std::fmt::Debug for ServerCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCollector").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    engine: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
    state: &'static str,
}

impl Collector for ServerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut gauge = |name: &str, help: &str, value: usize| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            let metric =
                encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        gauge(
            "requests_in_flight",
            "Requests that hold a permit of the concurrency limiter",
            self.concurrency.in_flight(),
        )?;
        gauge(
            "response_memory_bytes",
            "Memory reserved for responses that are not yet sent",
            self.response_memory.bytes_in_use(),
        )?;
        gauge(
            "password_hashes_in_flight",
            "Password hashes that are computed or queued",
            self.passwords.in_flight(),
        )?;
        gauge("subscriptions", "Subscriptions to events", self.events.subscribers())?;
        gauge("streams_open", "Open WebSockets and event streams", self.streams.open_streams())?;
        gauge(
            "stream_operations",
            "Operations that run on WebSockets",
            self.streams.running_operations(),
        )?;
        gauge(
            "replicas_healthy",
            "Replicas that are reachable and within the replication lag limit",
            self.database.healthy_replicas(),
        )?;
        let mut counter = |name: &str, help: &str, value: u64| {
            let metric =
                encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)
        };
        counter(
            "sql_statements",
            "SQL statements, without transaction control",
            self.database.statements(),
        )?;
        counter("password_hashes", "Computed password hashes", self.passwords.hashes_total())?;
        if let Some(mail) = &self.mail {
            counter("mails_sent", "Mails that were sent, or written to a file", mail.sent())?;
            counter("mail_failures", "Failed attempts to send a mail", mail.failed())?;
        }
        counter(
            "requests_rejected",
            "Requests rejected by the concurrency limiter",
            self.concurrency.rejected(),
        )?;
        counter(
            "points_charged",
            "Points that were charged to the rate limits of all clients",
            self.cost_limiter.charged(),
        )?;
        if let Some(issuer) = &self.token_issuer {
            counter(
                "external_tokens_accepted",
                "Verified tokens of the identity provider",
                issuer.accepted(),
            )?;
            counter(
                "external_tokens_rejected",
                "Tokens of the identity provider that are not valid",
                issuer.rejected(),
            )?;
            counter(
                "external_key_fetches_failed",
                "Failed requests for the keys of the identity provider",
                issuer.failed_fetches(),
            )?;
        }
        self.encode_build(&mut encoder)?;
        self.encode_connections(&mut encoder)
    }
}

impl ServerCollector {
    fn encode_build(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let engine = match self.database.engine() {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        };
        let build = Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION"), engine });
        let help = "Version of the server and engine of its database.";
        build.encode(encoder.encode_descriptor("build", help, None, MetricType::Info)?)
    }

    fn encode_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Database connections; open includes idle.";
        let mut metric =
            encoder.encode_descriptor("database_connections", help, None, MetricType::Gauge)?;
        for (pool, is_reader) in [("read", true), ("write", false)] {
            let (open, idle) = self.database.connections(is_reader);
            for (state, count) in [("open", open), ("idle", idle)] {
                let labels = PoolLabels { pool, state };
                let count = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
                count.encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
