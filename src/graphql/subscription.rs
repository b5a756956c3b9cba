//! Executes an admitted subscription: a response for each event.

use std::sync::Arc;

use async_graphql::{Response, ServerError, Value};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::admission::{AdmittedOperation, Operation};
use super::execute::with_validation_code;
use super::isolation::catch_panic;
use super::response::ExecutionResponse;
use crate::database::Snapshot;
use crate::loaders::poll_inline;
use crate::schema::{RequestContext, server_error};

/// The response to an event, or why the subscription failed.
type StreamResult = Result<ExecutionResponse, Vec<ServerError>>;

struct Subscription {
    operation: Operation,
    context: Arc<RequestContext>,
    responses: BoxStream<'static, Response>,
    is_first: bool,
    is_over: bool,
}

impl AdmittedOperation {
    /// Executes a subscription.
    ///
    /// The stream ends after an `Err`, and after a response without data, because neither has a
    /// cursor to resume from.
    pub async fn subscribe(self) -> BoxStream<'static, StreamResult> {
        let engine = Arc::clone(&self.operation.requester.engine);
        let database = self.operation.requester.database();
        let context = self.context(Snapshot::new(&database)).await;
        let mut operation = self.operation;
        // An idle subscription holds neither a database connection nor a permit.
        operation.requester.snapshot = Snapshot::new(&database);
        operation.requester.permit = None;
        context.release().await;
        let request = operation.request().data(Arc::clone(&context));
        let responses = engine.executor.subscribe(request);
        let subscription =
            Subscription { operation, context, responses, is_first: true, is_over: false };
        stream::unfold(subscription, Subscription::next).boxed()
    }
}

impl Subscription {
    async fn next(mut self) -> Option<(StreamResult, Self)> {
        if self.is_over {
            return None;
        }
        let next = tokio::task::unconstrained(poll_inline(self.responses.next()));
        let result = match catch_panic(next).await {
            Ok(None) => return None,
            Ok(Some(response)) => self.complete_event(response).await,
            Err(error) => Err(vec![error]),
        };
        self.is_over |= result.is_err();
        Some((result, self))
    }

    async fn complete_event(&mut self, response: Response) -> StreamResult {
        // The next event is resolved from a new snapshot; until then no connection is held.
        self.context.release().await;
        let is_first = std::mem::take(&mut self.is_first);
        self.is_over = response.data == Value::Null;
        if is_first && self.is_over && response.is_err() {
            // The subscription was not created.
            let errors = with_validation_code(response.errors);
            self.operation.charge_rejected(&errors);
            return Err(errors);
        }
        let mut response = self.operation.finish(response)?;
        let memory = self.context.reserve_response(response.data.len());
        response.memory = memory.map_err(|error| vec![server_error(error)])?;
        if let Some(timer) = self.context.take_event_timer() {
            self.operation.record(&timer);
        }
        Ok(response)
    }
}
