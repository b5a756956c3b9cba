//! Cross-origin rules: CORS and prevention of cross-site request forgery (CSRF).
//!
//! A browser sends GET requests and WebSocket upgrades for any page, without a CORS preflight. A
//! GET request is accepted if it has a header that forces a preflight, as in Apollo's CSRF
//! prevention, or a trusted origin by `Sec-Fetch-Site` and `Origin`. The origin rule is that of
//! Go's `http.CrossOriginProtection`, applied to GET too: Go's passes every GET request, and every
//! request without these headers. A WebSocket upgrade is rejected if its origin is not trusted.
//! POST requests need no check: their content type, `application/json`, forces a preflight, and
//! others get status 415 (`transports/body.rs`). Written by hand because `tower_http::csrf` lets
//! every GET request pass.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, CorsLayer};

use super::{LSN_HEADER, REQUEST_ID};
use crate::config::Origins;

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
            || self.origin_trust(headers) == OriginTrust::Trusted
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
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.split_once("://").map(|(_, authority)| authority.as_bytes());
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        OriginTrust::trusted_if(authority.is_some() && host == authority)
    }
}
