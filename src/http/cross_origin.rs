//! Cross-origin rules: CORS, and the prevention of cross-site request forgery (CSRF).
//!
//! A browser sends GET requests and WebSocket upgrades for any page, without a CORS preflight. A
//! GET request is accepted if it has a header that forces a preflight, as in Apollo's CSRF
//! prevention, or a trusted origin by `Sec-Fetch-Site` and `Origin`, as in the scheme of Go's
//! `http.CrossOriginProtection`. A WebSocket upgrade is rejected if its origin is not trusted. POST
//! requests need no check: their content type, `application/json`, forces a preflight. Written by
//! hand because `tower_http::csrf` lets every GET request pass.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, CorsLayer};

use super::{LSN, REQUEST_ID};
use crate::config::Origins;

/// How long a browser may cache the response to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// Headers that a page of another origin can send only after a CORS preflight.
///
/// The first is for clients that need none of the others.
const PREFLIGHT_HEADERS: [HeaderName; 6] = [
    HeaderName::from_static("graphql-require-preflight"),
    HeaderName::from_static("apollo-require-preflight"),
    HeaderName::from_static("x-apollo-operation-name"),
    HeaderName::from_static("graphql-preflight"),
    header::AUTHORIZATION,
    LSN,
];

/// Set by browsers; pages cannot set it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Origins {
    /// The responses to CORS requests from these origins; `None` if there are no origins.
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
            .expose_headers([LSN, REQUEST_ID, header::ETAG, header::RETRY_AFTER])
            .max_age(PREFLIGHT_MAX_AGE);
        Some(layer)
    }

    /// Whether a GET request cannot be a forgery by a page of an untrusted origin.
    pub fn allows_get(&self, headers: &HeaderMap) -> bool {
        let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
        PREFLIGHT_HEADERS.iter().any(|name| headers.contains_key(name))
            || headers.get(header::CONTENT_TYPE).is_some_and(is_json)
            || self.is_trusted_origin(headers) == Some(true)
    }

    /// Whether a WebSocket upgrade is not from a page of an untrusted origin.
    ///
    /// Browsers send no preflight for WebSockets, so the origin decides.
    pub fn allows_websocket(&self, headers: &HeaderMap) -> bool {
        self.is_trusted_origin(headers).unwrap_or(true)
    }

    /// Whether the origin of a request is the server's own or one of these.
    ///
    /// `None` if the request has no origin, because it was not sent by a browser.
    fn is_trusted_origin(&self, headers: &HeaderMap) -> Option<bool> {
        let origin = headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| self.0.contains(origin)) {
            return Some(true);
        }
        if let Some(site) = headers.get(SEC_FETCH_SITE) {
            return Some(site == "same-origin" || site == "none");
        }
        // Browsers without `Sec-Fetch-Site`: the origin must have the authority of the `Host`.
        let origin = origin?.to_str().unwrap_or_default();
        let authority = origin.split_once("://").map(|(_, authority)| authority.as_bytes());
        Some(
            headers.get(header::HOST).map(HeaderValue::as_bytes) == authority
                && authority.is_some(),
        )
    }
}
