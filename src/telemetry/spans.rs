//! Spans, sent over HTTP in the protocol OTLP.

use anyhow::{Context as _, Result};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Sends what is left when it is dropped.
pub struct Sender(SdkTracerProvider);

impl Drop for Sender {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            eprintln!("the last spans were not sent: {error}");
        }
    }
}

/// # Errors
/// When the address cannot be read.
pub fn to<S>(collector: &str) -> Result<(impl Layer<S>, Sender)>
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
    Ok((layer, Sender(provider)))
}
