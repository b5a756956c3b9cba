//! The playground at `/`: the embedded files of GraphiQL, nothing from elsewhere.

use std::io::Read as _;

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use flate2::read::GzDecoder;

use super::NOSNIFF;

pub async fn handle(uri: Uri, request: HeaderMap) -> Response {
    let Some(file) = playground::file(uri.path().trim_start_matches('/')) else {
        return (StatusCode::NOT_FOUND, "There is nothing here. The playground is at /\n")
            .into_response();
    };
    let accepted = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let packed = file.gzip && accepted.is_some_and(|encodings| encodings.contains("gzip"));
    let mut response = if file.gzip && !packed {
        unpacked(file.body).into_response()
    } else {
        file.body.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.extend([NOSNIFF]);
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(playground::CONTENT_SECURITY_POLICY),
    );
    let caching = if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// For clients that do not take gzip: no browser, but people with plain tools.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if let Err(error) = GzDecoder::new(packed).read_to_end(&mut plain) {
        tracing::error!(%error, "an embedded file cannot be unpacked");
    }
    plain
}
