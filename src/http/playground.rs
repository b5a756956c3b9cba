//! Serves the embedded files of the playground, at `/` and below.
//!
//! All other paths get 404.
//!
//! The files are compressed at build time. Clients that accept gzip, such as all browsers, receive
//! them as they are. For other clients they are decompressed.

use std::io::Read as _;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;

use super::error::HttpError;
use super::negotiation::MediaType;
use crate::schema::code;

/// Responds with 404, where the playground is disabled.
pub async fn disabled() -> Response {
    let message = "Not found. The GraphQL endpoint is /graphql.";
    let error = HttpError::new(StatusCode::NOT_FOUND, code::BAD_REQUEST, message);
    error.into_response(MediaType::Json)
}

/// Responds with a file of the playground, or with 404 or 405.
pub async fn handle(method: Method, uri: Uri, request_headers: HeaderMap) -> Response {
    let Some(file) = playground::file(uri.path().trim_start_matches('/')) else {
        let message = "Not found. The GraphQL endpoint is /graphql, and the playground is at /.";
        let error = HttpError::new(StatusCode::NOT_FOUND, code::BAD_REQUEST, message);
        return error.into_response(MediaType::Json);
    };
    if !matches!(method, Method::GET | Method::HEAD) {
        let message = "This is a file of the playground. The GraphQL endpoint is /graphql.";
        let error = HttpError::method_not_allowed("GET, HEAD", message);
        return error.into_response(MediaType::Json);
    }
    let accepted = request_headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    let send_gzip = file.gzip && accepted.is_some_and(|encodings| encodings.contains("gzip"));
    let mut response = if file.gzip && !send_gzip {
        decompress(file.body).into_response()
    } else {
        file.body.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(playground::CONTENT_SECURITY_POLICY),
    );
    let caching = if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if send_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn decompress(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if let Err(error) = GzDecoder::new(gzip).read_to_end(&mut plain) {
        tracing::error!(%error, "cannot decompress an embedded file");
    }
    plain
}
