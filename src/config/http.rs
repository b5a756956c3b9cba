//! Options of the HTTP server.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderValue, Uri};
use clap::Args;
use clap::builder::FalseyValueParser;
use ipnet::IpNet;

use super::parse_list;

/// The HTTP server: its address, timeouts, browsers and proxies.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub struct HttpConfig {
    /// Host and port to listen on; port 0 selects a free port
    ///
    /// The host is an IP address, or a name whose first address with a free port is used.
    #[arg(long, env = "ROOKERY_LISTEN", default_value = "127.0.0.1:8000", value_name = "HOST:PORT",
          value_parser = parse_listen)]
    pub listen: String,

    /// Seconds after which a request fails with TIMEOUT
    #[arg(long, env = "ROOKERY_REQUEST_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout: u64,

    /// Seconds for a client to send the head of a request, and as many for its body
    ///
    /// Also the time for a WebSocket client to send `connection_init`.
    #[arg(long, env = "ROOKERY_READ_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub read_timeout: u64,

    /// Seconds that a client may take to read before its connection is closed
    #[arg(long, env = "ROOKERY_WRITE_TIMEOUT", default_value_t = 12, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub write_timeout: u64,

    /// Seconds to keep serving after SIGTERM while /readyz already fails
    ///
    /// Set it to the time that the load balancer takes to notice. A second SIGTERM or ctrl-c ends
    /// the delay.
    #[arg(long, env = "ROOKERY_SHUTDOWN_DELAY", default_value_t = 0, value_name = "SECONDS")]
    pub shutdown_delay: u64,

    /// Seconds for requests in flight to finish after SIGTERM or ctrl-c
    #[arg(long, env = "ROOKERY_SHUTDOWN_TIMEOUT", default_value_t = 10, value_name = "SECONDS")]
    pub shutdown_timeout: u64,

    /// Comma-separated origins whose pages may send requests and open WebSockets
    ///
    /// An origin is written as `https://app.example.com`. By default only the server's own origin
    /// may.
    #[arg(long, env = "ROOKERY_CORS_ORIGINS", default_value = "", value_name = "ORIGINS")]
    pub cors_origins: Origins,

    /// Comma-separated IP addresses or CIDR ranges of trusted reverse proxies
    ///
    /// `X-Forwarded-For` is honoured only from these, as in 10.0.0.0/8,192.0.2.1.
    #[arg(long, env = "ROOKERY_TRUSTED_PROXIES", default_value = "", value_name = "NETWORKS")]
    pub trusted_proxies: Proxies,

    /// Do not serve the playground
    ///
    /// Its paths get 404, and a browser that opens /graphql is not redirected.
    #[arg(long, env = "ROOKERY_NO_PLAYGROUND", value_parser = FalseyValueParser::new())]
    pub no_playground: bool,
}

/// Checks an address to listen on, whose host is resolved when the server starts.
pub fn parse_listen(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "an address is written as 127.0.0.1:8000, [::1]:8000 or localhost:8000, not '{text}'"
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let is_address = text.parse::<SocketAddr>().is_ok();
    let is_name = !host.is_empty() && !host.contains([':', '/', '[', ' ', '@']);
    let has_port = port.parse::<u16>().is_ok();
    (is_address || (is_name && has_port)).then(|| text.to_owned()).ok_or_else(wrong)
}

/// Origins of the form `scheme://host[:port]`, as browsers send them.
///
/// They are in lower case and have no default port.
#[derive(Clone, Debug, Default)]
pub struct Origins(pub Vec<HeaderValue>);

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_list(text, parse_origin).map(Self)
    }
}

/// Networks of reverse proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl FromStr for Proxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_list(text, |text| {
            let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
            let wrong = || format!("a network is written as 10.0.0.0/8 or 192.0.2.1, not '{text}'");
            text.parse().ok().or_else(address).ok_or_else(wrong)
        })
        .map(Self)
    }
}

fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    if text.contains('*') {
        return Err(format!(
            "'{text}' has a wildcard, which is not supported: list each origin, such as \
             https://app.example.com"
        ));
    }
    let wrong =
        || format!("an origin is written as https://host or http://host:port, not '{text}'");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
    let (scheme, authority) = scheme.zip(uri.authority()).ok_or_else(wrong)?;
    let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
    // Browsers omit the default port, user names and paths.
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    if origin != text || origin.ends_with(default_port) || origin.contains('@') {
        return Err(wrong());
    }
    HeaderValue::try_from(origin).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on_have_a_host_and_a_port() {
        for right in ["127.0.0.1:0", "[::1]:8000", "localhost:8000", "db-1.example.com:80"] {
            assert_eq!(parse_listen(right), Ok(right.to_owned()));
        }
        for wrong in ["", ":8000", "nowhere", "localhost:", "::1:8000", "a:65536", "http://a:80"] {
            assert!(parse_listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_are_accepted_only_as_browsers_send_them() {
        let right = "https://example.com, http://localhost:5173,http://[::1]:8000";
        assert_eq!(right.parse::<Origins>().unwrap().0.len(), 3);
        assert!("".parse::<Origins>().unwrap().0.is_empty());
        for wrong in [
            "*",
            "https://*.example.com",
            "https://app.example.com,https://*",
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
