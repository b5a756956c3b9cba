//! `/graphql`: GraphQL over HTTP. Reads the request, knows the viewer, runs the operation with a deadline,
//! and answers in the media type and with the status code that the specification asks for.

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
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::accept::MediaType;
use super::answer::{Told, errors_as_json};
use super::execute::{Asker, Executed, Operation, authenticate, refusal};
use super::guard::refuse;
use super::parameters::{Asked, Parameters, from_body, from_query};
use super::refusal::Refusal;
use super::{LSN, NOSNIFF, Shared, peer, set_lsn, sse, websocket};
use crate::auth::{Client, Who};
use crate::database::{Lsn, Snapshot};
use crate::error::Error;
use crate::schema::{code, code_of};

const SUBSCRIPTION: &str = "Subscriptions come as text/event-stream, or over a WebSocket with the protocol \
                            graphql-transport-ws.";

pub async fn handle(
    State(shared): State<Shared>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let client = peer::client(&head, &shared.proxies);
    if let Ok(socket) = socket {
        if !shared.origins.admit_socket(&head.headers) {
            let message = "Pages of this origin may not open a socket; see --cors-origins.";
            let refusal = Refusal::new(StatusCode::FORBIDDEN, code::CSRF_PREVENTED, message);
            return answer_refusal(refusal, MediaType::Json);
        }
        return websocket::upgrade(socket, shared, client, &head);
    }
    let Some(media) = MediaType::negotiate(&head.headers) else {
        let message =
            "Accept application/graphql-response+json, application/json or text/event-stream.";
        let refusal = Refusal::new(StatusCode::NOT_ACCEPTABLE, code::BAD_REQUEST, message);
        return answer_refusal(refusal, MediaType::Json);
    };
    let metrics = Arc::clone(&shared.metrics);
    let answered = match read(&shared, (&head, body), &client).await {
        Ok(asked) => {
            let (timeout, writing) = (shared.timeout, AtomicBool::new(false));
            let running = run(shared, (&head, &client, media), asked, &writing);
            match tokio::time::timeout(timeout, Box::pin(running)).await {
                Ok(answered) => answered,
                Err(_) if writing.into_inner() => {
                    let message = "The request took too long. Look whether the change was made.";
                    Err(Refusal::of(vec![refuse(code::OUTCOME_UNKNOWN, message.to_owned())]))
                }
                Err(_) => {
                    let message = "The request took too long and was given up.";
                    Err(Refusal::of(vec![refuse(code::TIMEOUT, message.to_owned())]))
                }
            }
        }
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| {
        metrics.errors(&refusal.errors);
        answer_refusal(refusal, media)
    })
}

/// What is asked; not of whoever has used up their share, and not for nothing when it cannot be read.
async fn read(
    shared: &Shared,
    (head, body): (&Parts, Body),
    client: &Client,
) -> Result<Asked, Refusal> {
    let network = Who::Network(client.network);
    if is_anonymous(&head.headers) {
        shared.quota.admit(network).map_err(|error| Refusal::of(vec![error]))?;
    }
    let asked = match head.method {
        Method::GET => from_query(&head.uri),
        Method::POST => {
            let limits = (shared.limits.max_body, shared.limits.max_batch);
            from_body(&head.headers, body, limits, shared.patience).await
        }
        _ => {
            let message = "Send queries with GET or POST, mutations with POST.";
            Err(Refusal::method_not_allowed("GET, POST", message))
        }
    };
    asked.inspect_err(|_| shared.quota.note_refused(network, 0))
}

fn is_anonymous(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::AUTHORIZATION)
}

/// Says by `writing` when something may have been written from now on.
async fn run(
    shared: Shared,
    (head, client, media): (&Parts, &Client, MediaType),
    asked: Asked,
    writing: &AtomicBool,
) -> Result<Response, Refusal> {
    let _place = shared.room.enter(client.network).await.map_err(refused)?;
    match asked {
        Asked::One(parameters) => {
            Box::pin(one(shared, parameters, (head, client, media), writing)).await
        }
        Asked::Many(all) if media == MediaType::EventStream => {
            let message = format!("Events come for one operation at a time, not {}.", all.len());
            Err(Refusal::bad_request(message))
        }
        Asked::Many(all) => {
            let response = batch(&shared, all, (&head.headers, client), writing).await?;
            Ok(finish(response, media))
        }
    }
}

async fn one(
    shared: Shared,
    parameters: Parameters,
    (head, client, media): (&Parts, &Client, MediaType),
    writing: &AtomicBool,
) -> Result<Response, Refusal> {
    let is_get = head.method == Method::GET;
    let asker = asker(&shared, &head.headers, client).await?;
    let is_paid = asker.viewer.is_none();
    let operation = match admit(&shared, &asker, parameters, is_paid)? {
        Ok(operation) => operation,
        // The protocol tells of what cannot be read by the status, and of all else by an event.
        Err(error) if media == MediaType::EventStream && is_readable(&error) => {
            shared.metrics.errors(std::slice::from_ref(&error));
            return Ok(sse::refused(vec![error]));
        }
        Err(error) => return Err(Refusal::of(vec![error])),
    };
    if is_get && operation.ty() == OperationType::Mutation {
        let message = "Mutations cannot be sent with GET; use POST.";
        return Err(Refusal::method_not_allowed("POST", message));
    }
    if is_get && !shared.origins.admit_reading(&head.headers) {
        let message = "A page of any site could have sent this. Send the header \
                       'GraphQL-Require-Preflight: 1' with a GET, or POST.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, code::CSRF_PREVENTED, message));
    }
    if media == MediaType::EventStream {
        return Ok(Box::pin(sse::answer(operation, shared, asker, writing)).await);
    }
    if operation.ty() == OperationType::Subscription {
        return Err(Refusal::bad_request(SUBSCRIPTION));
    }
    let is_for_all = is_get && asker.viewer.is_none();
    let executed = operation.run(&shared, asker, writing).await.map_err(Refusal::of)?;
    if is_for_all && executed.answer.errors.is_empty() {
        return Ok(cacheable(executed.answer.tell(), media, &head.headers));
    }
    Ok(answer_executed(executed, media))
}

/// Reads a document for whoever has not used up their share. Who is not signed in has paid for the first already.
fn admit(
    shared: &Shared,
    asker: &Asker,
    parameters: Parameters,
    is_paid: bool,
) -> Result<Result<Operation, ServerError>, Refusal> {
    let who = asker.who();
    if !is_paid {
        shared.quota.admit(who).map_err(|error| Refusal::of(vec![error]))?;
    }
    let bytes = parameters.query.as_ref().map_or(0, String::len);
    let operation = Operation::new(shared, parameters);
    if operation.is_err() {
        shared.quota.note_refused(who, bytes);
    }
    Ok(operation)
}

fn refused(error: Error) -> Refusal {
    Refusal::of(vec![refusal(error)])
}

fn is_readable(error: &ServerError) -> bool {
    !matches!(code_of(error), Some(code::BAD_REQUEST | code::PARSE_FAILED))
}

/// Several operations, one after the other: an array of what each would be answered alone.
async fn batch(
    shared: &Shared,
    all: Vec<Parameters>,
    (headers, client): (&HeaderMap, &Client),
    writing: &AtomicBool,
) -> Result<Response, Refusal> {
    let mut told = Vec::with_capacity(all.len());
    let mut last = None;
    for parameters in all {
        // Each sees what those before it have written, and none runs in a session that one of them has ended.
        let asker = match asker(shared, headers, client).await {
            Err(refusal) if told.is_empty() => return Err(refusal),
            Err(refusal) => Err(refusal.errors),
            Ok(asker) => Ok(Asker { seen: asker.seen.max(last.unwrap_or_default()), ..asker }),
        };
        let admitted = asker.and_then(|asker| {
            let is_paid = asker.viewer.is_none() && told.is_empty();
            let operation = admit(shared, &asker, parameters, is_paid);
            let operation = operation.map_err(|refusal| refusal.errors)?;
            Ok((asker, operation.map_err(|error| vec![error])?))
        });
        let executed = match admitted {
            Ok((_, operation)) if operation.ty() == OperationType::Subscription => {
                Err(vec![refuse(code::BAD_REQUEST, SUBSCRIPTION.to_owned())])
            }
            Ok((asker, operation)) => operation.run(shared, asker, writing).await,
            Err(errors) => Err(errors),
        };
        told.push(match executed {
            Ok(executed) => {
                last = executed.lsn.or(last);
                executed.answer.tell()
            }
            Err(errors) => {
                shared.metrics.errors(&errors);
                errors_as_json(errors).into()
            }
        });
    }
    let mut response = Bytes::from(Told::all(told)).into_response();
    set_lsn(&mut response, last);
    Ok(response)
}

/// An answer that is the same for everybody, as long as nothing is written: whoever has it asks whether it still holds.
fn cacheable(told: Told, media: MediaType, asked: &HeaderMap) -> Response {
    // Weak: the same answer in the other media type has it too.
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(told.as_ref())));
    let had = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_same = |known: &str| {
        let known = known.trim();
        known == "*" || known.trim_start_matches("W/") == tag.trim_start_matches("W/")
    };
    let unchanged = had.flat_map(|value| value.split(',')).any(is_same);
    let mut response = finish(Bytes::from(told).into_response(), media);
    if unchanged {
        *response.body_mut() = Body::empty();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    let headers = response.headers_mut();
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    response
}

async fn asker(shared: &Shared, headers: &HeaderMap, client: &Client) -> Result<Asker, Refusal> {
    let seen = seen_lsn(headers)?;
    let snapshot = Snapshot::new(&shared.database);
    let mut viewer = None;
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let found = authenticate(shared, &snapshot, value.to_str().ok()).await;
        if matches!(found, Err(Error::Unauthenticated(_))) {
            // Who has used up their network's share is not told whether a token is good.
            let network = Who::Network(client.network);
            shared.quota.admit(network).map_err(|error| Refusal::of(vec![error]))?;
            shared.quota.note_refused(network, 0);
        }
        viewer = Some(found.map_err(refused)?);
    }
    Ok(Asker { snapshot, viewer, client: client.clone(), seen })
}

/// What the client has seen or written elsewhere, as an earlier answer told it.
fn seen_lsn(headers: &HeaderMap) -> Result<Lsn, Refusal> {
    let Some(value) = headers.get(LSN) else { return Ok(Lsn::default()) };
    let lsn = value.to_str().ok().and_then(|text| text.parse().ok());
    lsn.ok_or_else(|| Refusal::bad_request("The header Rookery-LSN must read like 16/B374D848."))
}

fn answer_executed(executed: Executed, media: MediaType) -> Response {
    let mut response = Bytes::from(executed.answer.tell()).into_response();
    if executed.retryable {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    set_lsn(&mut response, executed.lsn);
    finish(response, media)
}

fn answer_refusal(refusal: Refusal, media: MediaType) -> Response {
    finish(refusal.into_response(media), media)
}

fn finish(mut response: Response, media: MediaType) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
    headers.extend([NOSNIFF]);
    response
}
