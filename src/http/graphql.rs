//! `/graphql`: GraphQL over HTTP. Reads the request, knows the viewer, lets the guard look at the
//! document, runs it with a deadline, and answers in the media type and with the status code that the
//! specification asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::parser::types::{OperationDefinition, OperationType, Selection};
use async_graphql::{
    Pos, Request as GraphQlRequest, Response as GraphQlAnswer, ServerError, Value, Variables,
};
use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::accept::MediaType;
use super::documents::Key;
use super::guard::refuse;
use super::{NOSNIFF, Shared, variables};
use crate::auth::Viewer;
use crate::database::{Lsn, Snapshot};
use crate::error::Error;
use crate::schema::{Caller, code, code_of};

/// With replicas: sent with the answer to a mutation; a request that comes with it reads nothing older.
const LSN: HeaderName = HeaderName::from_static("rookery-lsn");

/// How long a mutation's answer waits for its place in the log.
const MARK: Duration = Duration::from_secs(1);

/// However much is wrong, an answer stays small.
const MAX_ERRORS: usize = 20;
const MAX_MESSAGE: usize = 300;

/// The parameters of a request, in a POST's body or a GET's query string.
#[derive(Deserialize)]
struct Parameters {
    query: String,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Variables>,
}

/// A request that ran.
struct Executed {
    /// In JSON.
    data: Vec<u8>,
    errors: Vec<ServerError>,
    /// The same may be sent again.
    retryable: bool,
    /// For the client to send with its next requests.
    lsn: Option<Lsn>,
}

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

pub async fn handle(State(shared): State<Shared>, request: Request<Body>) -> Response {
    let Some(media) = MediaType::negotiate(request.headers()) else {
        let message = "Accept application/graphql-response+json or application/json.";
        let refusal = Refusal::new(StatusCode::NOT_ACCEPTABLE, code::BAD_REQUEST, message);
        return answer_refusal(refusal, MediaType::Json);
    };
    let writing = AtomicBool::new(false);
    match tokio::time::timeout(shared.timeout, run(&shared, request, &writing)).await {
        Ok(Ok(executed)) => answer_executed(executed, media),
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
    shared: &Shared,
    request: Request<Body>,
    writing: &AtomicBool,
) -> Result<Executed, Refusal> {
    let (head, body) = request.into_parts();
    let parameters = match head.method {
        Method::GET => from_query(&head.uri)?,
        Method::POST => from_body(&head.headers, body, shared.limits.max_body).await?,
        _ => {
            let message = "Send queries with GET or POST, mutations with POST.";
            return Err(method_not_allowed("GET, POST", message));
        }
    };
    let name = parameters.operation_name.as_deref();
    let refused = |error| Refusal::with(StatusCode::BAD_REQUEST, vec![error]);
    let given = parameters.variables.unwrap_or_default();
    let key = Key::new(&parameters.query, name, &given);
    let known = shared.documents.admit(&key, &shared.limits).map_err(refused)?;
    let operation = &known.admitted.operation;
    let is_query = operation.ty == OperationType::Query;
    if head.method == Method::GET && !is_query {
        return Err(method_not_allowed("POST", "Only queries can be sent with GET; use POST."));
    }
    let mut document = known.admitted.document.clone();
    let variables = variables::coerce(&mut document, name, given).map_err(refused)?;
    let is_proven = known.is_proven() && variables::are_plain(operation, &variables);
    let execute = async |caller: &Arc<Caller>| {
        let request = GraphQlRequest::new(&parameters.query).variables(variables.clone());
        let mut request = request.data(Arc::clone(caller));
        request.operation_name.clone_from(&parameters.operation_name);
        request.set_parsed_query(document.clone());
        // Tokio makes a task pause after so many steps; in the middle of a level that would tear a
        // batch.
        tokio::task::unconstrained(shared.schema.execute(request, is_proven)).await
    };

    let seen = seen_lsn(&head.headers)?;
    let snapshot = Snapshot::new(&shared.database);
    let viewer = authenticate(shared, &snapshot, &head.headers).await?;
    let since = viewer.as_ref().map_or(seen, |viewer| seen.max(viewer.lsn()));
    let of_replica = is_query.then(|| Snapshot::of_replica(&shared.database, since)).flatten();
    let user_agent = head.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let new_caller = async |snapshot| {
        Arc::new(Caller::new(snapshot, viewer.clone(), user_agent.map(str::to_owned)).await)
    };
    let mut caller = new_caller(of_replica.unwrap_or(snapshot)).await;
    writing.store(!is_query, Ordering::Relaxed);
    let mut answer = execute(&caller).await;
    let unavailable = |error| code_of(error) == Some(code::UNAVAILABLE);
    if caller.is_on_replica().await && answer.errors.iter().any(unavailable) {
        // The replica is gone, or gave up a read for the sake of what it replays.
        caller = new_caller(Snapshot::new(&shared.database)).await;
        answer = execute(&caller).await;
    }
    for error in &mut answer.errors {
        name_library_error(error, shared.limits.max_complexity);
        if !is_query && error.path.len() > 1 && is_temporary(error) {
            // The verb is done; what it did could not be read.
            "The change was made, but this could not be read.".clone_into(&mut error.message);
            error.extensions.get_or_insert_default().set("code", code::OUTCOME_UNKNOWN);
        }
    }
    if answer.errors.iter().any(|error| is_request_error(error, operation.ty)) {
        return Err(Refusal::with(StatusCode::BAD_REQUEST, answer.errors));
    }
    shared.documents.keep(key, &known);
    let data = known.shape.write(&answer.data, &answer.errors);
    let retryable = is_retryable(operation, &answer);
    let lsn = if caller.has_written() { mark(shared, &caller).await } else { None };
    Ok(Executed { data, errors: answer.errors, retryable, lsn })
}

/// Where the log stands after a mutation; kept with the session too. Only with replicas. The answer does
/// not wait for it for long: without it, the session reads from the primary.
async fn mark(shared: &Shared, caller: &Caller) -> Option<Lsn> {
    if !shared.database.has_replicas() {
        return None;
    }
    let session = caller.viewer().map(|viewer| viewer.session().id);
    match tokio::time::timeout(MARK, shared.database.mark(session)).await {
        Ok(Ok(lsn)) => Some(lsn),
        failed => {
            tracing::warn!(?failed, "a write was not marked; its session reads from the primary");
            None
        }
    }
}

/// What the client has seen or written elsewhere, as an earlier answer told it.
fn seen_lsn(headers: &HeaderMap) -> Result<Lsn, Refusal> {
    let Some(value) = headers.get(LSN) else { return Ok(Lsn::default()) };
    let lsn = value.to_str().ok().and_then(|text| text.parse().ok());
    lsn.ok_or_else(|| Refusal::bad_request("The header Rookery-LSN must read like 16/B374D848."))
}

fn is_temporary(error: &ServerError) -> bool {
    matches!(code_of(error), Some(code::UNAVAILABLE | code::TIMEOUT))
}

/// Whether the request failed for a reason that passes, and may be sent again: nothing of it was done. Of
/// a mutation, that is known when its only field did not come to write.
fn is_retryable(operation: &OperationDefinition, answer: &GraphQlAnswer) -> bool {
    let fields = &operation.selection_set.node.items;
    let only_field = matches!(&fields[..], [one] if matches!(one.node, Selection::Field(_)));
    let undone = only_field && answer.errors.iter().all(|error| error.path.len() <= 1);
    answer.data == Value::Null
        && answer.errors.iter().any(is_temporary)
        && (operation.ty == OperationType::Query || undone)
}

/// Resolvers' errors all have a code. Without one, it is a document that costs too much, or one with an
/// argument that the library cannot read.
fn name_library_error(error: &mut ServerError, max_complexity: usize) {
    if error.message == "Query is too complex." {
        let message = format!(
            "The query costs more than {max_complexity}. Ask for smaller pages or fewer levels."
        );
        *error = refuse(code::QUERY_TOO_COMPLEX, message);
    } else if code_of(error).is_none() {
        error.extensions.get_or_insert_default().set("code", code::VALIDATION_FAILED);
    }
}

/// Errors of a document that did not run: its answer has no `data`. Of a mutation, something may have
/// run before the field at fault.
fn is_request_error(error: &ServerError, operation: OperationType) -> bool {
    matches!(code_of(error), Some(code::VALIDATION_FAILED | code::QUERY_TOO_COMPLEX))
        && (error.path.is_empty() || operation == OperationType::Query)
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

async fn authenticate(
    shared: &Shared,
    snapshot: &Snapshot,
    headers: &HeaderMap,
) -> Result<Option<Viewer>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let refused = |error: Error| {
        let status = match error {
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Unavailable | Error::Conflict | Error::Timeout => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let error: async_graphql::Error = error.into();
        let mut error = error.into_server_error(Pos::default());
        error.locations.clear();
        Refusal::with(status, vec![error])
    };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let message = "The header must read 'Authorization: Bearer <token>'.";
    let token = token.ok_or_else(|| refused(Error::Unauthenticated(message)))?;
    let viewer = Viewer::authenticate(snapshot, token).await.map_err(refused)?;
    shared.presence.note(&viewer);
    Ok(Some(viewer))
}

fn method_not_allowed(allow: &'static str, message: &str) -> Refusal {
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, code::BAD_REQUEST, message);
    Refusal { allow: Some(allow), ..refusal }
}

fn answer_executed(executed: Executed, media: MediaType) -> Response {
    let Executed { data, mut errors, retryable, lsn } = executed;
    let mut body = Vec::with_capacity(data.len() + 16);
    body.extend_from_slice(b"{\"data\":");
    body.extend_from_slice(&data);
    if !errors.is_empty() {
        shorten(&mut errors);
        body.extend_from_slice(b",\"errors\":");
        body.extend(serde_json::to_vec(&errors).unwrap_or_else(|_| b"[]".to_vec()));
    }
    body.push(b'}');
    let mut response = body.into_response();
    if retryable {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    if let Some(lsn) = lsn.and_then(|lsn| HeaderValue::try_from(lsn.to_string()).ok()) {
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

fn shorten(errors: &mut Vec<ServerError>) {
    errors.truncate(MAX_ERRORS);
    for error in errors {
        if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE) {
            error.message.truncate(end);
            error.message.push('…');
        }
    }
}
