//! Export of spans to an OpenTelemetry collector, by OTLP over HTTP.

use anyhow::{Context as _, Result};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Sends the spans that are left when it is dropped.
pub struct SpanGuard(SdkTracerProvider);

impl Drop for SpanGuard {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::error!(%error, "could not send the last spans");
        }
    }
}

/// A layer that sends a subscriber's spans to the collector at URL `collector`.
///
/// # Errors
/// When the URL is malformed.
pub fn otlp_layer<S>(collector: &str) -> Result<(impl Layer<S>, SpanGuard)>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let endpoint = format!("{}/v1/traces", collector.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let exporter = exporter.with_endpoint(endpoint).build();
    let exporter = exporter.with_context(|| format!("cannot send spans to {collector}"))?;
    let service = Resource::builder().with_service_name("rookery").build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
    let provider = provider.with_resource(service).build();
    let tracer = provider.tracer("rookery");
    let layer = tracing_opentelemetry::layer().with_location(false).with_tracer(tracer);
    Ok((layer, SpanGuard(provider)))
}
