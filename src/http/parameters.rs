//! The parameters of a request, as GraphQL over HTTP names them, and where they are read from.

use std::time::Duration;

use async_graphql::Variables;
use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::schema::code;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    pub query: Option<String>,
    /// Of a document that the server has, in place of its text.
    pub document_id: Option<String>,
    pub operation_name: Option<String>,
    pub variables: Option<Variables>,
    pub extensions: Option<Extensions>,
}

#[derive(Default, Deserialize)]
pub struct Extensions {
    #[serde(rename = "persistedQuery")]
    pub persisted: Option<PersistedQuery>,
}

/// As Apollo's clients send it.
#[derive(Deserialize)]
pub struct PersistedQuery {
    #[serde(rename = "sha256Hash")]
    pub hash: String,
}

impl Parameters {
    /// Whether they say what to run.
    pub fn name_a_document(&self) -> bool {
        self.query.is_some() || self.id().is_some()
    }

    /// The id of the document, however it was given.
    pub fn id(&self) -> Option<&str> {
        let extension = || Some(self.extensions.as_ref()?.persisted.as_ref()?.hash.as_str());
        self.document_id.as_deref().or_else(extension)
    }
}

/// One operation, or several in one request.
pub enum Asked {
    One(Parameters),
    Many(Vec<Parameters>),
}

/// # Errors
/// What of the query string cannot be read.
pub fn from_query(uri: &Uri) -> Result<Asked, Refusal> {
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
        .map_err(|_| Refusal::bad_request("The query string cannot be read."))?;
    let object = |name: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty());
        let value = text.map(|text| serde_json::from_str::<Value>(&text)).transpose();
        let value = value.ok().filter(|value| {
            value.as_ref().is_none_or(|value| value.is_object() || value.is_null())
        });
        value.ok_or_else(|| {
            Refusal::bad_request(format!("The parameter '{name}' must be a JSON object."))
        })
    };
    let mut fields = serde_json::Map::new();
    fields.insert("query".to_owned(), raw.query.into());
    fields.insert("documentId".to_owned(), raw.document_id.into());
    let name = raw.operation_name.filter(|name| !name.is_empty());
    fields.insert("operationName".to_owned(), name.into());
    fields.insert("variables".to_owned(), object("variables", raw.variables)?.into());
    fields.insert("extensions".to_owned(), object("extensions", raw.extensions)?.into());
    parameters(Value::Object(fields)).map(Asked::One)
}

/// # Errors
/// What of the body cannot be read; or that it is larger than `limit` bytes, was cut off or did not come in time, or asks
/// for more than `most` operations.
pub async fn from_body(
    headers: &HeaderMap,
    body: Body,
    (limit, most): (usize, usize),
    patience: Duration,
) -> Result<Asked, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |charset: &str| {
        let charset = charset.trim_matches('"').to_ascii_lowercase();
        charset == "utf-8" || charset == "utf8"
    };
    let is_named = |name: &str| name.trim().eq_ignore_ascii_case("charset");
    let mut charsets =
        parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| is_named(name));
    if !is_json || !charsets.all(|(_, charset)| is_utf8(charset.trim())) {
        let message = "Send the request as application/json, in UTF-8.";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, message));
    }
    let read = timeout(patience, Limited::new(body, limit).collect()).await.map_err(|_| {
        let message = "The body did not come in time.";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, message)
    })?;
    let bytes = read.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("The body is larger than {limit} bytes.");
            return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, code::BAD_REQUEST, message);
        }
        Refusal::bad_request("The body was cut off.")
    })?;
    let bytes = bytes.to_bytes();
    let body: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad_request(format!("The body is not JSON: {error}.")))?;
    match body {
        Value::Array(_) if most <= 1 => {
            Err(Refusal::bad_request("The body must be one JSON object; there is no batching."))
        }
        Value::Array(all) if all.is_empty() || all.len() > most => {
            let message = format!("A request takes 1 to {most} operations.");
            Err(Refusal::bad_request(message))
        }
        Value::Array(all) => {
            all.into_iter().map(parameters).collect::<Result<_, _>>().map(Asked::Many)
        }
        body => parameters(body).map(Asked::One),
    }
}

fn parameters(body: Value) -> Result<Parameters, Refusal> {
    let bad = |name: &str, must: &str| {
        Refusal::bad_request(format!("The parameter '{name}' must be {must}."))
    };
    let Some(fields) = body.as_object() else {
        return Err(Refusal::bad_request("The body must be a JSON object."));
    };
    let is = |name: &str, right: fn(&Value) -> bool| {
        fields.get(name).is_none_or(|value| value.is_null() || right(value))
    };
    for name in ["query", "documentId", "operationName"] {
        if !is(name, Value::is_string) {
            return Err(bad(name, "a string"));
        }
    }
    for name in ["variables", "extensions"] {
        if !is(name, Value::is_object) {
            return Err(bad(name, "an object"));
        }
    }
    let parameters: Parameters =
        serde_json::from_value(body).map_err(|_| bad("extensions", "as its extension has it"))?;
    if parameters.name_a_document() {
        Ok(parameters)
    } else {
        Err(Refusal::bad_request("The parameter 'query' is missing, and so is 'documentId'."))
    }
}
