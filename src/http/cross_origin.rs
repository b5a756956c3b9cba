//! Cross-origin rules: CORS and prevention of cross-site request forgery (CSRF).
//!
//! A browser sends GET requests and WebSocket upgrades for any page, without a CORS preflight. A
//! GET request is rejected if its headers `Sec-Fetch-Site` and `Origin` name an untrusted origin,
//! unless it has a header that forces a preflight, as in Apollo's CSRF prevention. A request
//! without these two headers is not from a page. This is the rule of `http.CrossOriginProtection`
//! of Go 1.25, applied to GET too, which Go's passes. A WebSocket upgrade is rejected if its origin
//! is not trusted. POST requests need no check: their content type, `application/json`, forces a
//! preflight, and others get status 415 (`transports/body.rs`). Written by hand because
//! `tower_http::csrf` lets every GET request pass.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowHeaders, CorsLayer};

use super::error::HttpError;
use super::negotiation::MediaType;
use super::{AppState, LSN_HEADER, REQUEST_ID};
use crate::config::Origins;
use crate::schema::code;

/// How long a browser may cache the response to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// Headers that a page of another origin can send only after a CORS preflight.
///
/// The first is a header with no other purpose, for clients that send none of the others.
const PREFLIGHT_HEADERS: [HeaderName; 6] = [
    HeaderName::from_static("graphql-require-preflight"),
    HeaderName::from_static("apollo-require-preflight"),
    HeaderName::from_static("x-apollo-operation-name"),
    HeaderName::from_static("graphql-preflight"),
    header::AUTHORIZATION,
    LSN_HEADER,
];

/// Set by browsers; pages cannot set it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the headers of a request say about its origin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OriginTrust {
    Trusted,
    Untrusted,
    /// Neither `Sec-Fetch-Site` nor `Origin`: not a browser, or an old browser.
    Unknown,
}

/// Rejects the CORS preflight of an untrusted origin with a reason.
///
/// A browser does not send the request itself after any other response than one that allows it.
pub async fn reject_untrusted_preflight(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight && state.origins.origin_trust(headers) == OriginTrust::Untrusted {
        let message = "Pages of this origin may not send requests; see --cors-origins.";
        let error = HttpError::new(StatusCode::FORBIDDEN, code::CSRF_PREVENTED, message);
        return error.into_response(MediaType::Json);
    }
    next.run(request).await
}

impl OriginTrust {
    fn trusted_if(condition: bool) -> Self {
        if condition { Self::Trusted } else { Self::Untrusted }
    }
}

impl Origins {
    /// The CORS layer that allows these origins; `None` if there are no origins.
    pub fn cors(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let layer = CorsLayer::new()
            .allow_origin(self.0.clone())
            .allow_methods([Method::GET, Method::POST])
            // Any header is allowed, because clients and their tracing add headers of their own.
            // Credentials are not: there are no cookies.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([LSN_HEADER, REQUEST_ID, header::ETAG, header::RETRY_AFTER])
            .max_age(PREFLIGHT_MAX_AGE);
        Some(layer)
    }

    /// Whether a GET request cannot be a forgery by a page of an untrusted origin.
    pub fn allows_get(&self, headers: &HeaderMap) -> bool {
        let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
        PREFLIGHT_HEADERS.iter().any(|name| headers.contains_key(name))
            || headers.get(header::CONTENT_TYPE).is_some_and(is_json)
            || self.origin_trust(headers) != OriginTrust::Untrusted
    }

    /// Whether a WebSocket upgrade is not from a page of an untrusted origin.
    ///
    /// Browsers send no preflight for WebSockets, so the origin decides.
    pub fn allows_websocket(&self, headers: &HeaderMap) -> bool {
        self.origin_trust(headers) != OriginTrust::Untrusted
    }

    /// Whether the origin of a request is the server's own or one of these.
    ///
    /// `Sec-Fetch-Site: none`, as for a URL that the user typed, is trusted.
    fn origin_trust(&self, headers: &HeaderMap) -> OriginTrust {
        let origin = headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| self.0.contains(origin)) {
            return OriginTrust::Trusted;
        }
        if let Some(site) = headers.get(SEC_FETCH_SITE) {
            return OriginTrust::trusted_if(site == "same-origin" || site == "none");
        }
        // A browser without `Sec-Fetch-Site`: host and port of the origin must equal `Host`.
        let Some(origin) = origin else { return OriginTrust::Unknown };
        let is_own = headers.get(header::HOST).and_then(|host| is_origin_of(origin, host));
        OriginTrust::trusted_if(is_own.unwrap_or(false))
    }
}

/// Whether an origin has this host and port.
///
/// `None` if one of the two cannot be parsed.
///
/// Hosts are compared without regard to case. A missing port is the default port of the origin's
/// scheme.
fn is_origin_of(origin: &HeaderValue, host: &HeaderValue) -> Option<bool> {
    let origin = Uri::try_from(origin.as_bytes()).ok()?;
    let host = Authority::try_from(host.as_bytes()).ok()?;
    let default_port = match origin.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let with_port = |authority: &Authority| {
        let port = authority.port_u16().unwrap_or(default_port);
        (authority.host().to_ascii_lowercase(), port)
    };
    Some(with_port(origin.authority()?) == with_port(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_own_if_host_and_port_are_those_of_the_request() {
        for (origin, host, expected) in [
            ("http://here:8000", "here:8000", true),
            ("http://HERE:8000", "Here:8000", true),
            ("https://example.com", "example.com:443", true),
            ("https://example.com:443", "example.com", true),
            ("http://example.com", "example.com:80", true),
            ("http://[::1]:8000", "[::1]:8000", true),
            ("https://example.com", "example.com:80", false),
            ("https://example.com", "example.com.evil.example", false),
            ("https://example.com", "example.com@evil.example", false),
            ("http://here:8000", "here", false),
            ("null", "null", false),
            ("ftp://example.com", "example.com", false),
            ("https://", "", false),
        ] {
            let values = (HeaderValue::from_static(origin), HeaderValue::from_static(host));
            let is_own = is_origin_of(&values.0, &values.1).unwrap_or(false);
            assert_eq!(is_own, expected, "{origin} {host}");
        }
    }
}
