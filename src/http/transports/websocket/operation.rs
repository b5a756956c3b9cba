//! One operation on a WebSocket, from its message to its last response.

use std::sync::atomic::AtomicBool;

use async_graphql::parser::types::OperationType;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::message::Outgoing;
use crate::error::Error;
use crate::graphql::{
    AdmittedOperation, Checked, GraphQLParams, GraphqlEngine, encode_errors, with_deadline,
};
use crate::http::AppState;
use crate::schema::server_error;

/// The output of an operation, without the final [`Outgoing::Complete`].
pub fn run(
    state: AppState,
    checked: Checked,
    params: GraphQLParams,
) -> BoxStream<'static, Outgoing> {
    let started = async move {
        match admit(&state, checked, params).await {
            Err(outgoing) => once(outgoing),
            Ok(admitted) if admitted.ty() == OperationType::Subscription => {
                let responses = admitted.subscribe().map(|response| match response {
                    Ok(response) => Outgoing::Next(response.encode()),
                    Err(errors) => Outgoing::Failed(errors),
                });
                once(Outgoing::Subscribed).chain(responses).boxed()
            }
            Ok(admitted) => once(execute(&state.engine, admitted).await),
        }
    };
    // Boxed, so that its memory is released once the operation has started.
    stream::once(Box::pin(started)).flatten().boxed()
}

fn once(outgoing: Outgoing) -> BoxStream<'static, Outgoing> {
    stream::iter([outgoing]).boxed()
}

/// Waits for a permit, verifies the token, and prepares and admits the operation.
///
/// `permitted` is dropped on return, so that a subscription holds no permit while it waits.
async fn admit(
    state: &AppState,
    checked: Checked,
    params: GraphQLParams,
) -> Result<AdmittedOperation, Outgoing> {
    let rejected = |error| Outgoing::Failed(vec![server_error(error)]);
    let mut permitted = checked.permit().await.map_err(rejected)?;
    let requester = permitted.authenticate().await.map_err(|error| match error {
        Error::Unauthenticated(_) => Outgoing::Forbidden,
        error => rejected(error),
    })?;
    let operation = requester.prepare(params).map_err(Outgoing::Failed)?;
    let is_subscription = operation.ty() == OperationType::Subscription;
    if !is_subscription && state.shutdown.is_shutting_down() {
        return Err(rejected(Error::Unavailable));
    }
    operation.admit().await.map_err(|error| Outgoing::Failed(vec![error]))
}

/// Executes a query or mutation.
async fn execute(engine: &GraphqlEngine, admitted: AdmittedOperation) -> Outgoing {
    let writing = AtomicBool::new(false);
    let execution = Box::pin(admitted.execute(&writing));
    match with_deadline(engine, &writing, execution).await {
        Ok(Ok(executed)) => Outgoing::Next(executed.response.encode()),
        Ok(Err(errors)) => Outgoing::Failed(errors),
        Err(error) => {
            let errors = vec![error];
            engine.record_errors(&errors);
            Outgoing::Next(encode_errors(errors).into())
        }
    }
}
