//! The playground at `/`: the embedded files of GraphiQL, nothing from elsewhere.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::NOSNIFF;

pub async fn handle(uri: Uri) -> Response {
    let Some(file) = playground::file(uri.path().trim_start_matches('/')) else {
        return (StatusCode::NOT_FOUND, "There is nothing here. The playground is at /\n")
            .into_response();
    };
    let mut response = file.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.extend([NOSNIFF]);
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(playground::CONTENT_SECURITY_POLICY),
    );
    let caching = if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if file.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
