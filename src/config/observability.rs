//! Options of logs, metrics and traces.

use clap::Args;

use super::http::parse_listen;

/// Logs, metrics and traces.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Observability")]
pub struct ObservabilityConfig {
    /// Log filter, such as 'info' or 'rookery=debug'; logs go to standard error
    #[arg(
        long,
        env = "ROOKERY_LOG",
        default_value = "warn,rookery=info,sqlx=error",
        value_name = "FILTER"
    )]
    pub log: String,

    /// Format of the log: 'pretty', or 'json' for one object per line
    #[arg(long, env = "ROOKERY_LOG_FORMAT", default_value = "pretty", value_name = "FORMAT",
          value_parser = parse_log_format)]
    pub log_format: LogFormat,

    /// Format of the access log: 'off', 'combined', or 'json' for one object per line
    ///
    /// It has a line for each HTTP request, without its query string, credentials and body.
    /// 'combined' is the Combined Log Format of Apache and nginx.
    #[arg(long, env = "ROOKERY_ACCESS_LOG", default_value = "off", value_name = "FORMAT",
          value_parser = parse_access_log)]
    pub access_log: AccessLogOption,

    /// Where the access log goes: 'stdout', or 'stderr' with the log
    #[arg(long, env = "ROOKERY_ACCESS_LOG_OUTPUT", default_value = "stdout",
          value_name = "STREAM", value_parser = parse_access_log_output)]
    pub access_log_output: AccessLogOutput,

    /// Milliseconds after which an operation is logged as slow, without its variables
    #[arg(
        long,
        env = "ROOKERY_SLOW_OPERATION_MS",
        default_value_t = 500,
        value_name = "MILLISECONDS"
    )]
    pub slow_operation_ms: u64,

    /// Host and port of Prometheus metrics at /metrics; not served by default
    ///
    /// /livez and /readyz are served there too. With the address of --listen, the metrics are
    /// served beside the GraphQL endpoint.
    #[arg(long, env = "ROOKERY_METRICS_LISTEN", default_value = "", value_name = "HOST:PORT",
          value_parser = parse_metrics_listen)]
    pub metrics_listen: MetricsListen,

    /// URL of an OpenTelemetry collector that receives a span for each request
    ///
    /// Spans are sent by OTLP over HTTP, as to <http://127.0.0.1:4318>. By default none are sent.
    /// It needs a build with `--features otlp`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "", value_name = "URL")]
    pub otlp_endpoint: String,
}

impl ObservabilityConfig {
    /// The URL of the OpenTelemetry collector, if there is one.
    pub fn otlp_collector(&self) -> Option<&str> {
        Some(self.otlp_endpoint.as_str()).filter(|address| !address.is_empty())
    }
}

/// The address of the metrics; `None` serves none.
pub type MetricsListen = Option<String>;

fn parse_metrics_listen(text: &str) -> Result<MetricsListen, String> {
    Some(text).filter(|text| !text.is_empty()).map(parse_listen).transpose()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

fn parse_log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected 'pretty' or 'json'".to_owned()),
    }
}

/// The format of the access log; `None` writes none.
pub type AccessLogOption = Option<AccessLogFormat>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    Combined,
    Json,
}

fn parse_access_log(text: &str) -> Result<AccessLogOption, String> {
    match text {
        "off" => Ok(None),
        "combined" => Ok(Some(AccessLogFormat::Combined)),
        "json" => Ok(Some(AccessLogFormat::Json)),
        _ => Err("expected 'off', 'combined' or 'json'".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogOutput {
    Stdout,
    Stderr,
}

fn parse_access_log_output(text: &str) -> Result<AccessLogOutput, String> {
    match text {
        "stdout" => Ok(AccessLogOutput::Stdout),
        "stderr" => Ok(AccessLogOutput::Stderr),
        _ => Err("expected 'stdout' or 'stderr'".to_owned()),
    }
}
