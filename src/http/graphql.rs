//! `/graphql`: GraphQL over HTTP. Reads the request, knows the viewer, runs the operation with a deadline,
//! and answers in the media type and with the status code that the specification asks for.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::accept::MediaType;
use super::execute::{Asker, Executed, Operation, Parameters, authenticate, refusal, shorten};
use super::guard::refuse;
use super::{NOSNIFF, Shared, sse, websocket};
use crate::database::{Lsn, Snapshot};
use crate::error::Error;
use crate::schema::{code, code_of};

/// With replicas: sent with the answer to a mutation; a request that comes with it reads nothing older.
const LSN: HeaderName = HeaderName::from_static("rookery-lsn");

/// A request that did not come to run: a status, and the errors that say why.
struct Refusal {
    status: StatusCode,
    errors: Vec<ServerError>,
    /// The methods that would do, when this one does not.
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self::with(status, vec![refuse(code, message.into())])
    }

    fn with(status: StatusCode, errors: Vec<ServerError>) -> Self {
        Self { status, errors, allow: None }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::BAD_REQUEST, message)
    }
}

pub async fn handle(
    State(shared): State<Shared>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request<Body>,
) -> Response {
    if let Ok(socket) = socket {
        return websocket::upgrade(socket, shared, request.headers());
    }
    let Some(media) = MediaType::negotiate(request.headers()) else {
        let message =
            "Accept application/graphql-response+json, application/json or text/event-stream.";
        let refusal = Refusal::new(StatusCode::NOT_ACCEPTABLE, code::BAD_REQUEST, message);
        return answer_refusal(refusal, MediaType::Json);
    };
    let writing = AtomicBool::new(false);
    let timeout = shared.timeout;
    match tokio::time::timeout(timeout, run(shared, request, media, &writing)).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => answer_refusal(refusal, media),
        Err(_) if writing.into_inner() => {
            let message = "The request took too long. Look whether the change was made.";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            answer_refusal(Refusal::new(status, code::OUTCOME_UNKNOWN, message), media)
        }
        Err(_) => {
            let message = "The request took too long and was given up.";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            answer_refusal(Refusal::new(status, code::TIMEOUT, message), media)
        }
    }
}

/// Says by `writing` when something may have been written from now on.
async fn run(
    shared: Shared,
    request: Request<Body>,
    media: MediaType,
    writing: &AtomicBool,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let parameters = match head.method {
        Method::GET => from_query(&head.uri)?,
        Method::POST => from_body(&head.headers, body, shared.limits.max_body).await?,
        _ => {
            let message = "Send queries with GET or POST, mutations with POST.";
            return Err(method_not_allowed("GET, POST", message));
        }
    };
    let refused = |error| Refusal::with(StatusCode::BAD_REQUEST, vec![error]);
    let operation = Operation::new(&shared, parameters).map_err(refused)?;
    if head.method == Method::GET && operation.ty() == OperationType::Mutation {
        return Err(method_not_allowed("POST", "Mutations cannot be sent with GET; use POST."));
    }
    let asker = asker(&shared, &head.headers).await?;
    let refused = |errors| Refusal::with(StatusCode::BAD_REQUEST, errors);
    if media == MediaType::EventStream {
        return sse::answer(operation, shared, asker, writing).await.map_err(refused);
    }
    if operation.ty() == OperationType::Subscription {
        let message = "Subscriptions come as text/event-stream, or over a WebSocket with the \
                       protocol graphql-transport-ws.";
        return Err(Refusal::bad_request(message));
    }
    let executed = operation.run(&shared, asker, writing).await.map_err(refused)?;
    Ok(answer_executed(executed, media))
}

async fn asker(shared: &Shared, headers: &HeaderMap) -> Result<Asker, Refusal> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let seen = seen_lsn(headers)?;
    let snapshot = Snapshot::new(&shared.database);
    let mut viewer = None;
    if headers.contains_key(header::AUTHORIZATION) {
        let found = authenticate(shared, &snapshot, text(header::AUTHORIZATION)).await;
        viewer = Some(found.map_err(|error| {
            let status = match error {
                Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
                Error::Unavailable | Error::Conflict | Error::Timeout => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Refusal::with(status, vec![refusal(error)])
        })?);
    }
    let user_agent = text(header::USER_AGENT).map(str::to_owned);
    Ok(Asker { snapshot, viewer, user_agent, seen })
}

/// What the client has seen or written elsewhere, as an earlier answer told it.
fn seen_lsn(headers: &HeaderMap) -> Result<Lsn, Refusal> {
    let Some(value) = headers.get(LSN) else { return Ok(Lsn::default()) };
    let lsn = value.to_str().ok().and_then(|text| text.parse().ok());
    lsn.ok_or_else(|| Refusal::bad_request("The header Rookery-LSN must read like 16/B374D848."))
}

fn from_query(uri: &axum::http::Uri) -> Result<Parameters, Refusal> {
    #[derive(Deserialize)]
    struct Raw {
        query: Option<String>,
        #[serde(rename = "operationName")]
        operation_name: Option<String>,
        variables: Option<String>,
    }
    let Query(raw) = Query::<Raw>::try_from_uri(uri)
        .map_err(|_| Refusal::bad_request("The query string cannot be read."))?;
    let query =
        raw.query.ok_or_else(|| Refusal::bad_request("The parameter 'query' is missing."))?;
    let variables = raw
        .variables
        .filter(|text| !text.is_empty())
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|_| Refusal::bad_request("The parameter 'variables' must be a JSON object."))?;
    let operation_name = raw.operation_name.filter(|name| !name.is_empty());
    Ok(Parameters { query, operation_name, variables })
}

async fn from_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Parameters, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let message = "Send the request as application/json.";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, message));
    }
    let bytes = to_bytes(body, limit).await.map_err(|_| {
        let message = format!("The body is larger than {limit} bytes, or was cut off.");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, code::BAD_REQUEST, message)
    })?;
    let body: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad_request(format!("The body is not JSON: {error}.")))?;
    let Some(fields) = body.as_object() else {
        return Err(Refusal::bad_request(
            "The body must be one JSON object; there is no batching.",
        ));
    };
    if !fields.get("query").is_some_and(serde_json::Value::is_string) {
        return Err(Refusal::bad_request("The parameter 'query' must be a string."));
    }
    let optional_object =
        |name: &str| fields.get(name).is_none_or(|value| value.is_object() || value.is_null());
    if !optional_object("variables") || !optional_object("extensions") {
        let message = "The parameters 'variables' and 'extensions' must be objects.";
        return Err(Refusal::bad_request(message));
    }
    serde_json::from_value(body)
        .map_err(|_| Refusal::bad_request("The parameter 'operationName' must be a string."))
}

fn method_not_allowed(allow: &'static str, message: &str) -> Refusal {
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, code::BAD_REQUEST, message);
    Refusal { allow: Some(allow), ..refusal }
}

fn answer_executed(executed: Executed, media: MediaType) -> Response {
    let mut response = executed.answer.into_json().into_response();
    if executed.retryable {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    if let Some(lsn) = executed.lsn.and_then(|lsn| HeaderValue::try_from(lsn.to_string()).ok()) {
        response.headers_mut().insert(LSN, lsn);
    }
    finish(response, media)
}

fn answer_refusal(mut refusal: Refusal, media: MediaType) -> Response {
    /// An answer without `data`: nothing ran.
    #[derive(serde::Serialize)]
    struct Errors {
        errors: Vec<ServerError>,
    }
    shorten(&mut refusal.errors);
    // The old media type cannot tell a refused document from an answered one by its status.
    let document_refused = refusal.status == StatusCode::BAD_REQUEST
        && !refusal.errors.iter().any(|error| code_of(error) == Some(code::BAD_REQUEST));
    let status = match media {
        MediaType::Json if document_refused => StatusCode::OK,
        _ => refusal.status,
    };
    let body = serde_json::to_string(&Errors { errors: refusal.errors }).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    if let Some(allow) = refusal.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    finish(response, media)
}

fn finish(mut response: Response, media: MediaType) -> Response {
    let retry_after = HeaderValue::from(Duration::from_secs(1).as_secs());
    let busy = response.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.extend([NOSNIFF]);
    if busy {
        headers.insert(header::RETRY_AFTER, retry_after);
    }
    response
}
