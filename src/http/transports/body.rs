//! Reads the parameters of a request from its query string or its body.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::config::Limits;
use crate::graphql::GraphQLParams;
use crate::http::error::HttpError;
use crate::schema::code;

/// One operation, or a batch of them.
pub enum RequestBody {
    Single(GraphQLParams),
    Batch(Vec<GraphQLParams>),
}

/// Reads the query string of a GET.
///
/// # Errors
/// 400 with `BAD_REQUEST` when it does not have the form of the GraphQL over HTTP specification.
pub fn from_query(uri: &Uri) -> Result<RequestBody, HttpError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw {
        query: Option<String>,
        document_id: Option<String>,
        operation_name: Option<String>,
        variables: Option<String>,
        extensions: Option<String>,
    }
    let Query(raw) = Query::<Raw>::try_from_uri(uri)
        .map_err(|_| HttpError::bad_request("The query string cannot be parsed."))?;
    let object = |name: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty());
        let value = text.map(|text| serde_json::from_str::<Value>(&text)).transpose();
        let value = value.ok().filter(|value| {
            value.as_ref().is_none_or(|value| value.is_object() || value.is_null())
        });
        value.ok_or_else(|| {
            HttpError::bad_request(format!("The parameter '{name}' must be a JSON object."))
        })
    };
    let mut fields = serde_json::Map::new();
    fields.insert("query".to_owned(), raw.query.into());
    fields.insert("documentId".to_owned(), raw.document_id.into());
    let name = raw.operation_name.filter(|name| !name.is_empty());
    fields.insert("operationName".to_owned(), name.into());
    fields.insert("variables".to_owned(), object("variables", raw.variables)?.into());
    fields.insert("extensions".to_owned(), object("extensions", raw.extensions)?.into());
    single(Value::Object(fields)).map(RequestBody::Single)
}

/// Reads the body of a POST within `read_timeout`.
///
/// # Errors
/// 415 for another media type, charset or content encoding, 408 for a body that is not complete in
/// time, 413 for one over the limit, 400 for one that is not a request or a batch within its limit;
/// all with `BAD_REQUEST`.
pub async fn from_body(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    read_timeout: Duration,
) -> Result<RequestBody, HttpError> {
    if !is_json_in_utf8(headers) {
        let message = "Send the request as application/json in UTF-8.";
        return Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, message));
    }
    if let Some(encoding) = content_encoding(headers) {
        let message = format!("The content encoding '{encoding}' is not supported. Send none.");
        return Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, message));
    }
    let max = limits.max_body_bytes;
    let read = timeout(read_timeout, Limited::new(body, max).collect()).await.map_err(|_| {
        let message = "The body was not complete within the read timeout.";
        HttpError::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, message)
    })?;
    let bytes = read.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("The body is larger than {max} bytes.");
            return HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, code::BAD_REQUEST, message);
        }
        HttpError::bad_request("The body ended early.")
    })?;
    let bytes = bytes.to_bytes();
    let body: Value = serde_json::from_slice(&bytes)
        .map_err(|error| HttpError::bad_request(format!("The body is not JSON: {error}.")))?;
    let max = limits.max_batch;
    match body {
        Value::Array(_) if max <= 1 => {
            Err(HttpError::bad_request("The body must be a JSON object: batching is disabled."))
        }
        Value::Array(all) if all.is_empty() || all.len() > max => {
            Err(HttpError::bad_request(format!("A batch must have 1 to {max} operations.")))
        }
        Value::Array(all) => {
            all.into_iter().map(single).collect::<Result<_, _>>().map(RequestBody::Batch)
        }
        body => single(body).map(RequestBody::Single),
    }
}

fn single(body: Value) -> Result<GraphQLParams, HttpError> {
    GraphQLParams::from_json(body).map_err(HttpError::bad_request)
}

/// The content encoding of a body that is encoded.
fn content_encoding(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut names = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let is_plain = |name: &str| matches!(name.trim(), "" | "identity");
    names.find(|name| !is_plain(&name.to_ascii_lowercase())).map(Into::into)
}

fn is_json_in_utf8(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |charset: &str| {
        let charset = charset.trim().trim_matches('"').to_ascii_lowercase();
        charset == "utf-8" || charset == "utf8"
    };
    let is_charset = |name: &str| name.trim().eq_ignore_ascii_case("charset");
    is_json
        && parts
            .filter_map(|part| part.split_once('='))
            .filter(|(name, _)| is_charset(name))
            .all(|(_, charset)| is_utf8(charset))
}
