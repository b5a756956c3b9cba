//! A request that was not executed: an HTTP status and the errors that say why.

use async_graphql::{ServerError, Value};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::negotiation::MediaType;
use crate::error::Error;
use crate::graphql::encode_errors;
use crate::schema::{code, code_of, server_error, with_code};

pub struct HttpError {
    status: StatusCode,
    pub errors: Vec<ServerError>,
    /// The methods that are allowed, if this one is not.
    allow: Option<&'static str>,
    /// Seconds.
    retry_after: Option<u64>,
}

impl HttpError {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self::with_status(status, vec![with_code(code, message)])
    }

    fn with_status(status: StatusCode, errors: Vec<ServerError>) -> Self {
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
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, code::BAD_REQUEST, message);
        Self { allow: Some(allow), ..error }
    }

    /// A response without `data`.
    pub fn into_response(self, media: MediaType) -> Response {
        // With `application/json`, a rejected document has the status of an executed one, as the
        // GraphQL over HTTP specification says.
        let document_rejected = self.status == StatusCode::BAD_REQUEST
            && !self.errors.iter().any(|error| code_of(error) == Some(code::BAD_REQUEST));
        let status = match media {
            MediaType::Json if document_rejected => StatusCode::OK,
            _ => self.status,
        };
        let mut response = (status, encode_errors(self.errors)).into_response();
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

/// The status is the one of the first error's code.
impl From<Vec<ServerError>> for HttpError {
    fn from(errors: Vec<ServerError>) -> Self {
        let status = match errors.first().and_then(code_of) {
            Some(code::UNAUTHENTICATED) => StatusCode::UNAUTHORIZED,
            Some(code::RATE_LIMITED) => StatusCode::TOO_MANY_REQUESTS,
            Some(code::UNAVAILABLE | code::TIMEOUT) => StatusCode::SERVICE_UNAVAILABLE,
            Some(code::INTERNAL | code::OUTCOME_UNKNOWN) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::with_status(status, errors)
    }
}

impl From<ServerError> for HttpError {
    fn from(error: ServerError) -> Self {
        vec![error].into()
    }
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        server_error(error).into()
    }
}
