//! Executes an admitted subscription: once to start, and again for each event.
//!
//! Between two events the task holds the admitted operation and the source of its events. Context,
//! loaders, document and response are made for an event and dropped after it, because most
//! subscriptions wait most of the time.

use std::sync::Arc;

use async_graphql::{Response, ServerError};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::admission::{AdmittedOperation, Operation, Requester};
use super::execute::{is_transient, with_validation_code};
use super::isolation::catch_panic;
use super::response::ExecutionResponse;
use crate::database::Snapshot;
use crate::error::Error;
use crate::limits::{KeyedEntry, MemoryPermit, WorkMeter};
use crate::loaders::poll_inline;
use crate::schema::{EventSource, RequestContext, code, code_of, server_error};

/// Estimate of the memory of a document, for each byte of its text.
const BYTES_PER_DOCUMENT_BYTE: usize = 40;

/// The response to an event, or why the subscription failed.
type StreamResult = Result<ExecutionResponse, Vec<ServerError>>;

struct Subscription {
    /// Dropped first, because `admitted` holds the form whose address is its key.
    _held: HeldMemory,
    admitted: AdmittedOperation,
    /// Counts the work of all events.
    meter: Arc<WorkMeter>,
    /// `None` before the start, and after the last event.
    source: Option<EventSource>,
    has_responded: bool,
    is_over: bool,
}

/// The memory of a subscription's document and variables.
struct HeldMemory {
    _document: KeyedEntry<usize, Option<MemoryPermit>>,
    _variables: MemoryPermit,
}

impl Operation {
    /// Reserves the memory that the operation holds while it waits for events.
    fn hold_memory(&self) -> Option<HeldMemory> {
        let Requester { engine, client, .. } = &self.requester;
        let (memory, network) = (&engine.response_memory, client.network);
        let document = self.text.len() * BYTES_PER_DOCUMENT_BYTE;
        let address = Arc::as_ptr(&self.form).addr();
        let document =
            engine.held_documents.entry(address, || memory.try_acquire(network, document));
        document.as_ref().as_ref()?;
        let variables = serde_json::to_vec(&self.variables).map_or(0, |json| json.len());
        let variables = memory.try_acquire(network, variables)?;
        Some(HeldMemory { _document: document, _variables: variables })
    }
}

impl AdmittedOperation {
    /// Executes a subscription.
    ///
    /// The stream ends after an `Err`, and after a response without data, because neither has a
    /// cursor to resume from.
    pub fn subscribe(mut self) -> BoxStream<'static, StreamResult> {
        let Some(held) = self.operation.hold_memory() else {
            let errors = vec![server_error(Error::Unavailable)];
            return stream::once(async { Err(errors) }).boxed();
        };
        let requester = &mut self.operation.requester;
        // An idle subscription holds neither a database connection nor a permit.
        requester.snapshot = Snapshot::new(requester.snapshot.database());
        requester.permit = None;
        let subscription = Subscription {
            meter: self.meter(),
            admitted: self,
            _held: held,
            source: None,
            has_responded: false,
            is_over: false,
        };
        // The state of the stream has the subscription several times, so it is boxed.
        stream::unfold(Box::new(subscription), Subscription::next).boxed()
    }
}

impl Subscription {
    async fn next(mut self: Box<Self>) -> Option<(StreamResult, Box<Self>)> {
        while !self.is_over {
            // Boxed, so that the memory of a response is released before the next event.
            let result = if let Some(source) = &mut self.source {
                self.admitted.operation.release_text();
                source.wait().await;
                let result;
                (self, result) = Box::pin(self.respond_to_event()).await?;
                result
            } else {
                Box::pin(self.respond()).await
            };
            if let Some(result) = result {
                self.is_over |= result.is_err();
                return Some((result, self));
            }
        }
        None
    }

    /// Responds on the threads for events. `None` if that panics.
    async fn respond_to_event(mut self: Box<Self>) -> Option<(Box<Self>, Option<StreamResult>)> {
        let Requester { engine, client, .. } = &self.admitted.operation.requester;
        let (engine, network) = (Arc::clone(engine), client.network);
        let response = || async move {
            let result = self.respond().await;
            (self, result)
        };
        engine.event_executor.run(network, response).await
    }

    /// Starts the subscription, or responds to its next event.
    ///
    /// `None` if there is no response.
    async fn respond(&mut self) -> Option<StreamResult> {
        let operation = &self.admitted.operation;
        let Requester { engine, client, .. } = &operation.requester;
        // A request of its own: an older one would precede the requests of its network.
        let snapshot = Snapshot::new(&engine.services.db.for_request(client.network));
        let context = self.admitted.context(snapshot, Arc::clone(&self.meter)).await;
        let context = Arc::new(context.with_event_source(self.source.take()));
        let request = operation.request().data(Arc::clone(&context));
        let mut responses = operation.requester.engine.executor.subscribe(request);
        let next = tokio::task::unconstrained(poll_inline(responses.next()));
        let response = catch_panic(next).await;
        drop(responses);
        self.source = context.take_event_source();
        self.is_over = self.source.is_none();
        match response {
            Ok(response) => self.complete(&context, response?),
            Err(error) => Some(Err(vec![error])),
        }
    }

    /// `None` if the response is replaced by the next event.
    fn complete(&mut self, context: &RequestContext, response: Response) -> Option<StreamResult> {
        let operation = &self.admitted.operation;
        // The client can resume before the event, and receive it later.
        let is_passing = |error| is_transient(error) || code_of(error) == Some(code::RATE_LIMITED);
        let is_repeatable = response.errors.iter().any(is_passing);
        if self.source.is_none() && !self.has_responded && response.is_err() {
            // The subscription was not created.
            let errors = with_validation_code(response.errors);
            operation.charge_rejected(&errors);
            return Some(Err(errors));
        }
        let mut response = match operation.finish(response) {
            Ok(response) => response,
            Err(errors) => return Some(Err(errors)),
        };
        if response.data == b"null" {
            if is_repeatable && self.source.as_mut().is_some_and(EventSource::replace_by_lagged) {
                return None;
            }
            self.is_over = true;
        }
        self.has_responded = true;
        if let Some(timer) = context.take_event_timer() {
            operation.record(&timer);
        }
        let memory = context.reserve_response(response.truncate());
        Some(match memory {
            Ok(memory) => {
                response.memory = memory;
                Ok(response)
            }
            Err(error) => Err(vec![server_error(error)]),
        })
    }
}
