//! Requests that did not come to run: a status, and the errors that say why.

use async_graphql::ServerError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::accept::MediaType;
use super::execute::shorten;
use super::guard::refuse;
use crate::schema::{code, code_of};

pub struct Refusal {
    status: StatusCode,
    pub errors: Vec<ServerError>,
    /// The methods that would do, when this one does not.
    allow: Option<&'static str>,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self::with(status, vec![refuse(code, message.into())])
    }

    pub fn with(status: StatusCode, errors: Vec<ServerError>) -> Self {
        Self { status, errors, allow: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::BAD_REQUEST, message)
    }

    pub fn method_not_allowed(allow: &'static str, message: &str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, code::BAD_REQUEST, message);
        Self { allow: Some(allow), ..refusal }
    }

    /// An answer without `data`: nothing ran.
    pub fn into_response(mut self, media: MediaType) -> Response {
        shorten(&mut self.errors);
        // The old media type cannot tell a refused document from an answered one by its status.
        let document_refused = self.status == StatusCode::BAD_REQUEST
            && !self.errors.iter().any(|error| code_of(error) == Some(code::BAD_REQUEST));
        let status = match media {
            MediaType::Json if document_refused => StatusCode::OK,
            _ => self.status,
        };
        let body = serde_json::json!({ "errors": self.errors }).to_string();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
