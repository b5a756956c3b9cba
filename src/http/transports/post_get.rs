//! GraphQL over HTTP: POST and GET, single operations and batches.
//!
//! The media type and the status code follow the GraphQL over HTTP specification. A WebSocket
//! upgrade and a client that accepts `text/event-stream` are passed on to their transports.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::body::{RequestBody, from_body, from_query};
use super::{sse, websocket};
use crate::database::Lsn;
use crate::graphql::{
    Arrival, Checked, EncodedResponse, Executed, GraphQLParams, GraphqlEngine, Operation,
    Permitted, encode_errors, with_deadline,
};
use crate::http::error::HttpError;
use crate::http::negotiation::{MediaType, accepts_html};
use crate::http::{AppState, LSN_HEADER, client_ip, set_lsn};
use crate::schema::{code, code_of, with_code};

/// How subscriptions can be executed.
const SUBSCRIPTION_TRANSPORTS: &str = "Send subscriptions with Accept: text/event-stream, or over a \
                                       WebSocket with the protocol graphql-transport-ws.";

/// The head of a request, and the media type of its response.
struct RequestHead {
    parts: Parts,
    media: MediaType,
}

/// Handles all requests to `/graphql`.
///
/// A GET without a query string by a browser, which accepts HTML, is redirected to the playground.
pub async fn handle(
    State(state): State<AppState>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let client = client_ip::client(&parts, &state.proxies);
    if let Ok(upgrade) = upgrade {
        if !state.origins.allows_websocket(&parts.headers) {
            let message = "Pages of this origin may not open a WebSocket; see --cors-origins.";
            let error = HttpError::new(StatusCode::FORBIDDEN, code::CSRF_PREVENTED, message);
            return respond_error(error, MediaType::Json);
        }
        return websocket::upgrade(upgrade, state, client, &parts);
    }
    let is_opened = parts.method == Method::GET && parts.uri.query().is_none();
    if is_opened && state.has_playground && accepts_html(&parts.headers) {
        // The playground, relative to this path because a proxy may add a prefix.
        return Redirect::to("./").into_response();
    }
    let Some(media) = MediaType::negotiate(&parts.headers) else {
        let message =
            "Accept application/graphql-response+json, application/json or text/event-stream.";
        let error = HttpError::new(StatusCode::NOT_ACCEPTABLE, code::BAD_REQUEST, message);
        return respond_error(error, MediaType::Json);
    };
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| String::from_utf8_lossy(value.as_bytes()).into());
    let arrival = Arrival::new(&state.engine, client, authorization);
    let head = RequestHead { parts, media };
    let result = respond(&state, arrival, &head, body).await;
    result.unwrap_or_else(|error| {
        state.engine.record_errors(&error.errors);
        respond_error(error, media)
    })
}

async fn respond(
    state: &AppState,
    arrival: Arrival,
    head: &RequestHead,
    body: Body,
) -> Result<Response, HttpError> {
    let checked = arrival.check_rate()?;
    let body = read_request(state, head, body).await;
    let body = body.inspect_err(|_| checked.charge_unreadable())?;
    let checked = checked.with_min_lsn(min_lsn(&head.parts.headers)?);
    let writing = AtomicBool::new(false);
    let execution = Box::pin(execute(state, checked, head, body, &writing));
    with_deadline(&state.engine, &writing, execution).await?
}

async fn read_request(
    state: &AppState,
    head: &RequestHead,
    body: Body,
) -> Result<RequestBody, HttpError> {
    let Parts { method, uri, headers, .. } = &head.parts;
    match *method {
        Method::GET => from_query(uri),
        Method::POST => from_body(headers, body, &state.engine.limits, state.read_timeout).await,
        _ => {
            let message = "Send queries with GET or POST, and mutations with POST.";
            Err(HttpError::method_not_allowed("GET, POST", message))
        }
    }
}

async fn execute(
    state: &AppState,
    checked: Checked,
    head: &RequestHead,
    body: RequestBody,
    writing: &AtomicBool,
) -> Result<Response, HttpError> {
    let permitted = checked.permit().await?;
    match body {
        RequestBody::Single(params) => {
            Box::pin(execute_single(state, permitted, head, params, writing)).await
        }
        RequestBody::Batch(_) if head.media == MediaType::EventStream => {
            Err(HttpError::bad_request("A batch cannot be sent with Accept: text/event-stream."))
        }
        RequestBody::Batch(batch) => {
            let engine = &state.engine;
            let response = Box::pin(execute_batch(engine, permitted, batch, writing)).await?;
            Ok(with_media_type(response, head.media))
        }
    }
}

async fn execute_single(
    state: &AppState,
    mut permitted: Permitted,
    head: &RequestHead,
    params: GraphQLParams,
    writing: &AtomicBool,
) -> Result<Response, HttpError> {
    let is_event_stream = head.media == MediaType::EventStream;
    let operation = match permitted.authenticate().await?.prepare(params) {
        Ok(operation) => operation,
        // graphql-sse reports a malformed request by the status, and a rejected document by an
        // event.
        Err(errors) if is_event_stream && errors.iter().all(is_document_error) => {
            state.engine.record_errors(&errors);
            return Ok(sse::rejected(errors));
        }
        Err(errors) => return Err(errors.into()),
    };
    check_method(state, &operation, &head.parts)?;
    if is_event_stream {
        return Ok(Box::pin(sse::respond(state, operation, writing)).await);
    }
    if operation.ty() == OperationType::Subscription {
        return Err(HttpError::bad_request(SUBSCRIPTION_TRANSPORTS));
    }
    let is_cacheable = head.parts.method == Method::GET && operation.is_anonymous();
    let executed = operation.admit().await?.execute(writing).await?;
    if is_cacheable && executed.response.errors.is_empty() {
        return Ok(respond_cacheable(executed.response.encode(), head));
    }
    Ok(respond_executed(executed, head.media))
}

/// Rejects mutations and cross-site requests that are sent with GET.
fn check_method(state: &AppState, operation: &Operation, parts: &Parts) -> Result<(), HttpError> {
    if parts.method != Method::GET {
        return Ok(());
    }
    if operation.ty() == OperationType::Mutation {
        let message = "Mutations cannot be sent with GET; use POST.";
        return Err(HttpError::method_not_allowed("POST", message));
    }
    if !state.origins.allows_get(&parts.headers) {
        let message = "Blocked by CSRF prevention. Send the header 'GraphQL-Require-Preflight: 1', \
                       or use POST with Content-Type: application/json.";
        return Err(HttpError::new(StatusCode::FORBIDDEN, code::CSRF_PREVENTED, message));
    }
    Ok(())
}

fn is_document_error(error: &ServerError) -> bool {
    !matches!(code_of(error), Some(code::BAD_REQUEST | code::PARSE_FAILED | code::RATE_LIMITED))
}

/// Executes the operations of a batch in order.
///
/// The response is the array of their responses.
async fn execute_batch(
    engine: &Arc<GraphqlEngine>,
    mut permitted: Permitted,
    batch: Vec<GraphQLParams>,
    writing: &AtomicBool,
) -> Result<Response, HttpError> {
    let mut responses = Vec::with_capacity(batch.len());
    let mut last_lsn = None;
    for params in batch {
        // Each operation is authenticated: an earlier one may have ended the session.
        let executed = match permitted.authenticate().await {
            Err(error) if responses.is_empty() => return Err(error.into()),
            Err(error) => Err(HttpError::from(error).errors),
            Ok(requester) => match requester.prepare(params) {
                Err(errors) => Err(errors),
                Ok(operation) if operation.ty() == OperationType::Subscription => {
                    Err(vec![with_code(code::BAD_REQUEST, SUBSCRIPTION_TRANSPORTS)])
                }
                Ok(operation) => match operation.admit().await {
                    Err(error) => Err(vec![error]),
                    Ok(admitted) => admitted.execute(writing).await,
                },
            },
        };
        responses.push(match executed {
            Ok(executed) => {
                if let Some(lsn) = executed.lsn {
                    permitted.read_no_older_than(lsn);
                    last_lsn = Some(lsn);
                }
                executed.response.encode()
            }
            Err(errors) => {
                engine.record_errors(&errors);
                encode_errors(errors).into()
            }
        });
    }
    let response = EncodedResponse::encode_batch(responses);
    let mut response = Bytes::from_owner(response).into_response();
    set_lsn(&mut response, last_lsn);
    Ok(response)
}

/// A response to an anonymous GET, with an entity tag.
///
/// Apart from `rateLimit`, it stays the same until something is written.
fn respond_cacheable(encoded: EncodedResponse, head: &RequestHead) -> Response {
    // A weak tag, because the response in the other media type has the same.
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(encoded.as_ref())));
    let known = head.parts.headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let is_unchanged = known.map(str::trim).any(|known| {
        known == "*" || known.trim_start_matches("W/") == tag.trim_start_matches("W/")
    });
    let mut response = with_media_type(Bytes::from_owner(encoded).into_response(), head.media);
    if is_unchanged {
        *response.body_mut() = Body::empty();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    let headers = response.headers_mut();
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    response
}

/// The header `Rookery-LSN` of a client that has read or written elsewhere.
fn min_lsn(headers: &HeaderMap) -> Result<Lsn, HttpError> {
    let Some(value) = headers.get(LSN_HEADER) else { return Ok(Lsn::default()) };
    let lsn = value.to_str().ok().and_then(|text| text.parse().ok());
    lsn.ok_or_else(|| {
        HttpError::bad_request("The header Rookery-LSN must have the form 16/B374D848.")
    })
}

fn respond_executed(executed: Executed, media: MediaType) -> Response {
    let mut response = Bytes::from_owner(executed.response.encode()).into_response();
    if executed.is_retryable {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    set_lsn(&mut response, executed.lsn);
    with_media_type(response, media)
}

fn respond_error(error: HttpError, media: MediaType) -> Response {
    with_media_type(error.into_response(media), media)
}

fn with_media_type(mut response: Response, media: MediaType) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
    response
}
