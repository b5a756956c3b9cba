//! Requests that did not come to run: a status, and the errors that say why.

use async_graphql::{ServerError, Value};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::accept::MediaType;
use super::answer::errors_as_json;
use super::guard::refuse;
use crate::schema::{code, code_of};

pub struct Refusal {
    status: StatusCode,
    pub errors: Vec<ServerError>,
    /// The methods that would do, when this one does not.
    allow: Option<&'static str>,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self::with(status, vec![refuse(code, message.into())])
    }

    /// With the status that belongs to the first error's code.
    pub fn of(errors: Vec<ServerError>) -> Self {
        let status = match errors.first().and_then(code_of) {
            Some(code::UNAUTHENTICATED) => StatusCode::UNAUTHORIZED,
            Some(code::RATE_LIMITED) => StatusCode::TOO_MANY_REQUESTS,
            Some(code::UNAVAILABLE | code::TIMEOUT) => StatusCode::SERVICE_UNAVAILABLE,
            Some(code::INTERNAL | code::OUTCOME_UNKNOWN) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::with(status, errors)
    }

    fn with(status: StatusCode, errors: Vec<ServerError>) -> Self {
        let seconds =
            errors.first().and_then(|error| error.extensions.as_ref()?.get("retryAfterSeconds"));
        let retry_after = match seconds {
            Some(Value::Number(seconds)) => seconds.as_u64(),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        Self { status, errors, allow: None, retry_after }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::BAD_REQUEST, message)
    }

    pub fn method_not_allowed(allow: &'static str, message: &str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, code::BAD_REQUEST, message);
        Self { allow: Some(allow), ..refusal }
    }

    /// An answer without `data`: nothing ran.
    pub fn into_response(self, media: MediaType) -> Response {
        // The old media type cannot tell a refused document from an answered one by its status.
        let document_refused = self.status == StatusCode::BAD_REQUEST
            && !self.errors.iter().any(|error| code_of(error) == Some(code::BAD_REQUEST));
        let status = match media {
            MediaType::Json if document_refused => StatusCode::OK,
            _ => self.status,
        };
        let mut response = (status, errors_as_json(self.errors)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media.content_type());
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
