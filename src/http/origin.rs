//! Pages of other sites: which may ask, and what no page gets to send without the browser asking first.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, CorsLayer};

use super::{LSN, REQUEST_ID};
use crate::config::Origins;

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

impl Origins {
    /// What browsers are told when they ask for a page of these sites. Without any, they are not answered.
    pub fn cors(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let layer = CorsLayer::new()
            .allow_origin(self.0.clone())
            .allow_methods([Method::GET, Method::POST])
            // Clients and what watches them send headers of their own; there are no cookies that could come along.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([LSN, REQUEST_ID, header::ETAG, header::RETRY_AFTER])
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
