//! GraphQL requests of an axum program that embeds Rookery.
//!
//! The program mounts [`handle`] in a router of its own, or calls [`execute`] from its own handler.
//! The requests pass through the same admission as all others. `examples/embed.rs` is such a program.

use std::sync::atomic::AtomicBool;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, Value};
use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::extract::State;
use axum::http::{HeaderMap, header};

use crate::auth::Client;
use crate::graphql::{Arrival, ExecutionResponse, GraphQLParams, with_deadline};
use crate::http::AppState;
use crate::schema::{code, server_error, with_code};

/// Handles a request that async-graphql-axum has read, with the bearer token of its headers.
pub async fn handle(
    State(state): State<AppState>,
    headers: HeaderMap,
    request: GraphQLRequest,
) -> GraphQLResponse {
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| String::from_utf8_lossy(value.as_bytes()).into());
    execute(&state, Client::default(), authorization, request.into_inner()).await.into()
}

/// Executes a query or mutation. `authorization` is `Bearer <token>`, or `None` for an anonymous
/// client.
pub async fn execute(
    state: &AppState,
    client: Client,
    authorization: Option<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::new(&state.0.engine, client, authorization);
    let params = GraphQLParams {
        query: Some(request.query),
        operation_name: request.operation_name,
        variables: Some(request.variables),
        ..GraphQLParams::default()
    };
    let writing = AtomicBool::new(false);
    let execution = Box::pin(run(arrival, params, &writing));
    let result = with_deadline(&state.0.engine, &writing, execution).await;
    match result.unwrap_or_else(|error| Err(vec![error])) {
        Ok(ExecutionResponse { data, errors, .. }) => {
            let data = serde_json::from_slice(&data).unwrap_or(Value::Null);
            let mut response = Response::new(data);
            response.errors = errors;
            response
        }
        Err(errors) => {
            state.0.engine.record_errors(&errors);
            Response::from_errors(errors)
        }
    }
}

async fn run(
    arrival: Arrival,
    params: GraphQLParams,
    writing: &AtomicBool,
) -> Result<ExecutionResponse, Vec<ServerError>> {
    let rejected = |error| vec![server_error(error)];
    let mut permitted = arrival.permit().await.map_err(rejected)?;
    let requester = permitted.authenticate().await.map_err(rejected)?;
    let operation = requester.prepare(params).map_err(|error| vec![error])?;
    if operation.ty() == OperationType::Subscription {
        let message = "Subscriptions are not supported here.";
        return Err(vec![with_code(code::BAD_REQUEST, message)]);
    }
    let admitted = operation.admit().await.map_err(|error| vec![error])?;
    admitted.execute(writing).await.map(|executed| executed.response)
}
