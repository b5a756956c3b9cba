//! Pages of other sites: which may ask, and what no page gets to send without the browser asking first.

use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::CorsLayer;

use super::graphql::LSN;

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_hours(1);

/// A page can send these only after its browser has asked. The first is for whoever has none of the others to send.
const FORCING: [HeaderName; 6] = [
    HeaderName::from_static("graphql-require-preflight"),
    HeaderName::from_static("apollo-require-preflight"),
    HeaderName::from_static("x-apollo-operation-name"),
    HeaderName::from_static("graphql-preflight"),
    header::AUTHORIZATION,
    LSN,
];

/// Set by browsers, and by them alone.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origin of a site, as browsers send it: `scheme://host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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
        HeaderValue::try_from(origin).map(Self).map_err(|_| wrong())
    }
}

/// The sites whose pages may ask.
#[derive(Clone)]
pub struct Origins(Vec<HeaderValue>);

impl Origins {
    pub fn new(origins: &[Origin]) -> Self {
        Self(origins.iter().map(|origin| origin.0.clone()).collect())
    }

    /// What browsers are told when they ask for a page of these sites. Without any, they are not answered.
    pub fn cors(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let more = [header::ACCEPT, header::CONTENT_TYPE, header::IF_NONE_MATCH];
        let layer = CorsLayer::new()
            .allow_origin(self.0.clone())
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(more.into_iter().chain(FORCING).collect::<Vec<_>>())
            .expose_headers([LSN, header::ETAG, header::RETRY_AFTER])
            .max_age(REMEMBERED);
        Some(layer)
    }

    /// Whether a request that changes nothing was sent by choice: not by a page of another site without
    /// the browser having asked.
    pub fn admit_reading(&self, headers: &HeaderMap) -> bool {
        let json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
        let forced = FORCING.iter().any(|name| headers.contains_key(name));
        forced
            || headers.get(header::CONTENT_TYPE).is_some_and(json)
            || self.is_ours(headers) == Some(true)
    }

    /// Whether a socket was opened by no page, or by one that may. For sockets, browsers never ask.
    pub fn admit_socket(&self, headers: &HeaderMap) -> bool {
        self.is_ours(headers).unwrap_or(true)
    }

    /// Whether it is a page of ours, or of a site that may ask; `None` when it seems to be no page.
    fn is_ours(&self, headers: &HeaderMap) -> Option<bool> {
        let origin = headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| self.0.contains(origin)) {
            return Some(true);
        }
        if let Some(site) = headers.get(SITE) {
            return Some(site == "same-origin" || site == "none");
        }
        // Older browsers.
        let origin = origin?.to_str().unwrap_or_default();
        let authority = origin.split_once("://").map(|(_, authority)| authority.as_bytes());
        Some(
            headers.get(header::HOST).map(HeaderValue::as_bytes) == authority
                && authority.is_some(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_as_browsers_send_it() {
        for right in ["https://example.com", "http://localhost:5173", "http://[::1]:80001"] {
            let right = right.trim_end_matches('1');
            assert!(right.parse::<Origin>().is_ok(), "{right}");
        }
        for wrong in [
            "",
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
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
