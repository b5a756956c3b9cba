//! What the execution of operations needs, built once and shared by all transports.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_graphql::ServerError;

use super::document::DocumentSchema;
use super::document_cache::DocumentCache;
use super::event_executor::EventExecutor;
use super::executor::Executor;
use super::persisted::PersistedDocuments;
use crate::auth::{ActivityTracker, TokenIssuer};
use crate::config::{Config, Limits};
use crate::domain::Services;
use crate::events::EventHub;
use crate::limits::{
    ConcurrencyLimiter, CostRateLimiter, Keyed, MemoryPermit, ResponseMemory, StreamLimiter,
};
use crate::schema::code_of;
use crate::telemetry::Metrics;

/// The schema, its documents, and everything that admission and execution consult.
pub struct GraphqlEngine {
    pub(super) executor: Executor,
    pub(super) schema: DocumentSchema,
    pub(super) documents: DocumentCache,
    pub(super) persisted: PersistedDocuments,
    /// Whether anonymous clients may select `__schema` and `__type`.
    pub(super) has_anonymous_introspection: bool,
    pub(super) slow_threshold: Duration,
    pub limits: Limits,
    pub services: Services,
    pub activity: ActivityTracker,
    /// The identity provider, if there is one.
    pub token_issuer: Option<Arc<TokenIssuer>>,
    pub concurrency: ConcurrencyLimiter,
    pub cost_limiter: Arc<CostRateLimiter>,
    pub response_memory: ResponseMemory,
    /// Memory of the documents that subscriptions hold, by address of the form.
    ///
    /// Subscriptions with equal documents share one, through the cache of documents.
    pub(super) held_documents: Keyed<usize, Option<MemoryPermit>>,
    pub(super) event_executor: EventExecutor,
    pub streams: StreamLimiter,
    pub metrics: Arc<Metrics>,
    pub request_timeout: Duration,
}

impl GraphqlEngine {
    /// Builds the schema over `services` and `events`, and reads the trusted documents.
    ///
    /// # Errors
    /// When the file of trusted documents cannot be read, or one of its documents is not valid;
    /// when the options of the identity provider are not complete; when the runtime of events
    /// cannot be created.
    pub fn build(
        config: &Config,
        services: Services,
        events: &EventHub,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let limits = config.limits.clone();
        let executor = Executor::new(events, config.graphql.federation);
        let schema = DocumentSchema::from_sdl(&executor.sdl())?;
        let persisted = PersistedDocuments::new(&config.graphql, &schema, &limits)?;
        Ok(Self {
            documents: DocumentCache::new(config.graphql.document_cache_bytes),
            schema,
            executor,
            persisted,
            has_anonymous_introspection: !config.graphql.no_anonymous_introspection,
            slow_threshold: Duration::from_millis(config.observability.slow_operation_ms),
            activity: ActivityTracker::start(services.db.clone()),
            services,
            token_issuer: TokenIssuer::new(&config.identity)?.map(Arc::new),
            concurrency: ConcurrencyLimiter::new(limits.max_concurrent_requests),
            cost_limiter: Arc::new(CostRateLimiter::per_minute(
                limits.rate_limit_per_network,
                limits.rate_limit_per_user,
            )),
            response_memory: ResponseMemory::new(
                limits.max_response_text_bytes,
                limits.response_memory_bytes,
            ),
            held_documents: Keyed::default(),
            event_executor: EventExecutor::start()?,
            streams: StreamLimiter::default(),
            metrics,
            request_timeout: Duration::from_secs(config.http.request_timeout),
            limits,
        })
    }

    /// Counts errors of responses in the metrics.
    pub fn record_errors(&self, errors: &[ServerError]) {
        for error in errors {
            self.metrics.record_error(code_of(error).unwrap_or_default());
        }
    }
}
