//! GraphQL requests of an axum program that embeds Rookery.
//!
//! The program mounts [`handle`] in a router of its own, or calls [`execute`] from its own handler.
//! The requests pass through the same admission as all others. `examples/embed.rs` is such a
//! program.

use std::sync::atomic::AtomicBool;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, Value};
use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::extract::State;
use axum::http::header;
use axum::http::request::Parts;

use crate::auth::Client;
use crate::graphql::{Arrival, ExecutionResponse, GraphQLParams, with_deadline};
use crate::http::{AppState, client_ip};
use crate::schema::{code, server_error, with_code};
use crate::telemetry::RequestScope;

/// Handles a request that async-graphql-axum has read.
///
/// The bearer token is taken from the header `Authorization`. The client network is taken from
/// [`ConnectInfo`](axum::extract::ConnectInfo), which the program provides with
/// `into_make_service_with_connect_info`, and from trusted proxies. Without `ConnectInfo`, all
/// anonymous clients share one rate limit.
pub async fn handle(
    State(state): State<AppState>,
    parts: Parts,
    request: GraphQLRequest,
) -> GraphQLResponse {
    let client = client_ip::client(&parts, &state.proxies);
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| String::from_utf8_lossy(value.as_bytes()).into());
    execute(&state, client, authorization, request.into_inner()).await.into()
}

/// Executes a query or mutation.
///
/// `authorization` is `Bearer <token>`, or `None` for an anonymous client.
pub async fn execute(
    state: &AppState,
    client: Client,
    authorization: Option<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::new(&state.engine, client, authorization);
    let writing = AtomicBool::new(false);
    let execution = Box::pin(run(arrival, params(request), &writing));
    let deadline = with_deadline(&state.engine, &writing, execution);
    let result = RequestScope::new().scope(deadline).await;
    match result.unwrap_or_else(|error| Err(vec![error])) {
        Ok(ExecutionResponse { data, errors, .. }) => {
            let data = serde_json::from_slice(&data).unwrap_or(Value::Null);
            let mut response = Response::new(data);
            response.errors = errors;
            response
        }
        Err(errors) => {
            state.engine.record_errors(&errors);
            Response::from_errors(errors)
        }
    }
}

/// The parameters of a request, with the hash of an automatic persisted query.
fn params(request: Request) -> GraphQLParams {
    let persisted =
        request.extensions.get("persistedQuery").and_then(|extension| match extension {
            Value::Object(fields) => match fields.get("sha256Hash")? {
                Value::String(hash) => Some(hash.clone()),
                _ => None,
            },
            _ => None,
        });
    GraphQLParams {
        query: Some(request.query).filter(|query| persisted.is_none() || !query.is_empty()),
        document_id: persisted,
        operation_name: request.operation_name,
        variables: Some(request.variables),
        ..GraphQLParams::default()
    }
}

async fn run(
    arrival: Arrival,
    params: GraphQLParams,
    writing: &AtomicBool,
) -> Result<ExecutionResponse, Vec<ServerError>> {
    let rejected = |error| vec![server_error(error)];
    let checked = arrival.check_rate().map_err(rejected)?;
    let mut permitted = checked.permit().await.map_err(rejected)?;
    let requester = permitted.authenticate().await.map_err(rejected)?;
    let operation = requester.prepare(params)?;
    if operation.ty() == OperationType::Subscription {
        let message = "Subscriptions are not supported here.";
        return Err(vec![with_code(code::BAD_REQUEST, message)]);
    }
    let admitted = operation.admit().await.map_err(|error| vec![error])?;
    admitted.execute(writing).await.map(|executed| executed.response)
}
