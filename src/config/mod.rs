//! Every setting and every limit, once: as an option, as an environment variable, and with its
//! default. `.env.example` lists them all; a test keeps it complete.

mod limits;

use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderValue, Uri};
use clap::Args;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};

pub use limits::Limits;

/// Where the data is, and how long to wait for it.
#[derive(Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// Address of the database: `sqlite://PATH`, relative to the working directory (the file is made when
    /// there is none), or `postgres://USER:PASSWORD@HOST:PORT/NAME`, with `?sslmode=verify-full` and
    /// `sslrootcert=PATH` for TLS, as libpq has them
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite://rookery.db",
        value_name = "URL"
    )]
    pub database_url: SecretString,

    #[command(flatten)]
    pub connections: Connections,

    /// Addresses of streaming replicas to read from, with commas between; give all instances the same
    #[arg(
        long,
        global = true,
        env = "DATABASE_REPLICA_URLS",
        hide_env_values = true,
        default_value = "",
        value_name = "URLS",
        value_delimiter = ','
    )]
    pub database_replica_urls: Vec<SecretString>,

    /// Seconds that a replica may be behind the primary and still be read from
    #[arg(long, global = true, env = "ROOKERY_DATABASE_REPLICA_LAG", default_value_t = 10,
          value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub database_replica_lag: u64,
}

impl DatabaseConfig {
    /// The address of the database, with whatever is secret in it.
    pub fn url(&self) -> &str {
        self.database_url.expose_secret()
    }

    /// The addresses of replicas.
    pub fn replicas(&self) -> impl Iterator<Item = &str> {
        self.database_replica_urls
            .iter()
            .map(|url| url.expose_secret().trim())
            .filter(|url| !url.is_empty())
    }
}

/// How many connections to have, and how long to wait.
#[derive(Args, Clone, Debug)]
pub struct Connections {
    /// Connections that read at the same time, 1 to 64
    #[arg(long, global = true, env = "ROOKERY_DATABASE_READERS", default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub database_readers: u32,

    /// Connections that write at the same time, 1 to 64; on SQLite it is always one
    #[arg(long, global = true, env = "ROOKERY_DATABASE_WRITERS", default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub database_writers: u32,

    /// Seconds to wait for a free connection, and for a lock that another writer holds, until UNAVAILABLE
    #[arg(long, global = true, env = "ROOKERY_DATABASE_ACQUIRE_TIMEOUT", default_value_t = 4,
          value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub database_acquire_timeout: u64,

    /// Seconds until PostgreSQL gives up a statement
    #[arg(long, global = true, env = "ROOKERY_DATABASE_STATEMENT_TIMEOUT", default_value_t = 8,
          value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub database_statement_timeout: u64,
}

impl Connections {
    /// A database to connect to like this, without replicas.
    #[must_use]
    pub fn to(&self, url: &str) -> DatabaseConfig {
        DatabaseConfig {
            database_url: url.into(),
            connections: self.clone(),
            database_replica_urls: vec![],
            database_replica_lag: 0,
        }
    }
}

/// How the service runs.
#[derive(Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// IP address and port to listen on, such as 127.0.0.1:8000; port 0 for any free one
    #[arg(long, env = "ROOKERY_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// Fill an empty database with john, susan, mary, david (password: "correct horse battery") and
    /// 300 generated users with posts
    #[arg(long, env = "ROOKERY_DEMO", value_parser = clap::builder::FalseyValueParser::new())]
    pub demo: bool,

    /// Number of this instance, part of every id it makes: 0 to 254, another for each instance; by
    /// default the first that no other instance on the database has
    #[arg(long, env = "ROOKERY_NODE", default_value = "auto", value_name = "N", value_parser = node)]
    pub node: NodeNumber,

    /// Days until a bearer token stops working, 1 to 3650
    #[arg(long, env = "ROOKERY_SESSION_DAYS", default_value_t = 30, value_name = "DAYS",
          value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub session_days: u16,

    /// Memory for one argon2id hash, in KiB (default after OWASP's recommendation)
    #[arg(long, env = "ROOKERY_ARGON2_MEMORY_KIB", default_value_t = 19_456, value_name = "KIB")]
    pub argon2_memory_kib: u32,

    /// Passes over that memory
    #[arg(long, env = "ROOKERY_ARGON2_ITERATIONS", default_value_t = 2, value_name = "N")]
    pub argon2_iterations: u32,

    /// Password hashes that run at the same time, and 16 more wait for each; the rest is refused. By default half as many
    /// as there are cores: the others are left for everybody who is signed in already
    #[arg(long, env = "ROOKERY_ARGON2_PARALLEL", default_value = "auto", value_name = "N", value_parser = hashes)]
    pub argon2_parallel: usize,

    /// Seconds until a request is given up with TIMEOUT
    #[arg(long, env = "ROOKERY_REQUEST_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout: u64,

    /// Seconds that events are kept for clients that come back and want to miss none; who stays away for longer
    /// reads the timeline anew
    #[arg(long, env = "ROOKERY_EVENT_RETENTION", default_value_t = 3600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub event_retention: u64,

    /// Seconds that a client may take to send the head of a request, then its body, or to begin on a WebSocket
    #[arg(long, env = "ROOKERY_HEADER_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub header_timeout: u64,

    /// Seconds that a client may take to read what it is sent
    #[arg(long, env = "ROOKERY_WRITE_TIMEOUT", default_value_t = 12, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub write_timeout: u64,

    /// Seconds after SIGTERM or ctrl-c for which /readyz says no and everything is served as before, so that whoever
    /// balances the load can turn elsewhere
    #[arg(long, env = "ROOKERY_SHUTDOWN_DELAY", default_value_t = 0, value_name = "SECONDS")]
    pub shutdown_delay: u64,

    /// Seconds that requests in flight get to finish after SIGTERM or ctrl-c
    #[arg(long, env = "ROOKERY_SHUTDOWN_TIMEOUT", default_value_t = 10, value_name = "SECONDS")]
    pub shutdown_timeout: u64,

    #[command(flatten)]
    pub limits: Limits,

    /// Origins whose pages may ask and open sockets, such as `https://app.example.com`, with commas between; by
    /// default only the service's own
    #[arg(long, env = "ROOKERY_CORS_ORIGINS", default_value = "", value_name = "ORIGINS")]
    pub cors_origins: Origins,

    /// Addresses of proxies, as 10.0.0.0/8 or 192.0.2.1, with commas between, that are believed whom they pass on
    /// (X-Forwarded-For)
    #[arg(long, env = "ROOKERY_TRUSTED_PROXIES", default_value = "", value_name = "NETWORKS")]
    pub trusted_proxies: Proxies,

    /// File of documents that clients may name by id: an object of texts by id, as graphql-codegen and relay-compiler
    /// write it, or Apollo's manifest
    #[arg(long, env = "ROOKERY_TRUSTED_DOCUMENTS", default_value = "", value_name = "FILE")]
    pub trusted_documents: String,

    /// Run no other documents than those; there must be such a file
    #[arg(long, env = "ROOKERY_ONLY_TRUSTED", value_parser = clap::builder::FalseyValueParser::new())]
    pub only_trusted: bool,

    /// Serve a subgraph of Apollo Federation 2: `_service` and `_entities` too, for a router that others cannot pass by
    #[arg(long, env = "ROOKERY_FEDERATION", value_parser = clap::builder::FalseyValueParser::new())]
    pub federation: bool,

    /// Milliseconds from which on an operation is logged as slow, with its name and without its variables
    #[arg(long, env = "ROOKERY_SLOW", default_value_t = 500, value_name = "MILLISECONDS")]
    pub slow: u64,

    /// IP address and port for Prometheus to read /metrics at; the one of --listen to have it there. By default nobody can
    #[arg(long, env = "ROOKERY_METRICS_LISTEN", default_value = "", value_name = "ADDRESS", value_parser = address)]
    pub metrics_listen: MetricsListen,

    /// How the log is written: `pretty`, for people, or `json`, an object a line
    #[arg(long, env = "ROOKERY_LOG_FORMAT", default_value = "pretty", value_name = "FORMAT", value_parser = log_format)]
    pub log_format: LogFormat,

    /// Address of an OpenTelemetry collector that takes OTLP over HTTP, such as <http://127.0.0.1:4318>, to send a span to for
    /// each request; by default none is sent. For a build with `--features otlp`
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "", value_name = "URL")]
    pub otlp_endpoint: String,

    /// What is logged to standard error, as in `info` or `rookery=debug`
    #[arg(
        long,
        env = "ROOKERY_LOG",
        default_value = "warn,rookery=info,sqlx=error",
        value_name = "FILTER"
    )]
    pub log: String,
}

impl Config {
    /// Where spans are sent.
    pub fn collector(&self) -> Option<&str> {
        Some(self.otlp_endpoint.as_str()).filter(|address| !address.is_empty())
    }
}

/// Origins of sites, as browsers send them: `scheme://host[:port]`, with commas between.
#[derive(Clone, Debug, Default)]
pub struct Origins(pub Vec<HeaderValue>);

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        all.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// Networks of proxies, with commas between.
#[derive(Clone, Debug, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl FromStr for Proxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        let network = |text: &str| {
            let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
            let wrong = || format!("a network is written as 10.0.0.0/8 or 192.0.2.1, not '{text}'");
            text.parse().ok().or_else(address).ok_or_else(wrong)
        };
        all.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong =
        || format!("an origin is written as https://host or http://host:port, not '{text}'");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
    let (scheme, authority) = scheme.zip(uri.authority()).ok_or_else(wrong)?;
    let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
    // Browsers leave out the port that is the scheme's own, and there is no name and no path.
    let usual = if scheme == "https" { ":443" } else { ":80" };
    if origin != text || origin.ends_with(usual) || origin.contains('@') {
        return Err(wrong());
    }
    HeaderValue::try_from(origin).map_err(|_| wrong())
}

/// Where the metrics are; `None` for nowhere.
pub type MetricsListen = Option<SocketAddr>;

fn address(text: &str) -> Result<MetricsListen, AddrParseError> {
    Some(text).filter(|text| !text.is_empty()).map(str::parse).transpose()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("give 'pretty' or 'json'".to_owned()),
    }
}

fn hashes(text: &str) -> Result<usize, String> {
    if text == "auto" {
        return Ok(std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)));
    }
    let number = text.parse().ok().filter(|number| (1..=255).contains(number));
    number.ok_or_else(|| "give a number from 1 to 255, or 'auto'".to_owned())
}

/// The number of an instance; `None` for any that is free.
pub type NodeNumber = Option<u8>;

fn node(text: &str) -> Result<NodeNumber, String> {
    match text {
        "auto" => Ok(None),
        text => match text.parse() {
            Ok(number @ 0..=254) => Ok(Some(number)),
            _ => Err("give a number from 0 to 254, or 'auto'".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_send_them() {
        let right = "https://example.com, http://localhost:5173,http://[::1]:8000";
        assert_eq!(right.parse::<Origins>().unwrap().0.len(), 3);
        assert!("".parse::<Origins>().unwrap().0.is_empty());
        for wrong in [
            "*",
            "null",
            "example.com",
            "https://example.com/",
            "https://Example.com",
            "https://example.com:443",
            "ftp://example.com",
            "https://a@example.com",
            "https://",
        ] {
            assert!(wrong.parse::<Origins>().is_err(), "{wrong}");
        }
    }
}
