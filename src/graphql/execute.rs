//! Executes an admitted query or mutation, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use async_graphql::{Response, ServerError, Value};

use super::admission::{AdmittedOperation, Operation};
use super::document::NormalForm;
use super::engine::GraphqlEngine;
use super::isolation::catch_panic;
use super::operation_record::OperationRecorder;
use super::response::ExecutionResponse;
use crate::auth::Viewer;
use crate::database::{Lsn, Snapshot};
use crate::schema::{RequestContext, code, code_of, server_error, with_code};

/// Maximum time that a mutation's response waits for the WAL position of its write.
const WRITE_LSN_TIMEOUT: Duration = Duration::from_secs(1);

/// The result of an operation that was executed.
pub struct Executed {
    pub response: ExecutionResponse,
    /// Nothing was changed, and the same request may succeed when it is sent again.
    pub is_retryable: bool,
    /// The position of the operation's write, for the client's next requests.
    pub lsn: Option<Lsn>,
}

/// Runs `work` for at most the request timeout.
///
/// `writing` says whether `work` may have written.
///
/// # Errors
/// `OUTCOME_UNKNOWN` when the timeout passes after a write may have begun, `TIMEOUT` otherwise.
pub async fn with_deadline<T>(
    engine: &GraphqlEngine,
    writing: &AtomicBool,
    work: impl Future<Output = T>,
) -> Result<T, ServerError> {
    tokio::time::timeout(engine.request_timeout, work).await.map_err(|_| {
        let (code, message) = if writing.load(Ordering::Relaxed) {
            let message = "The request timed out while it was writing. Check whether the change \
                           was made before you send it again.";
            (code::OUTCOME_UNKNOWN, message)
        } else {
            (code::TIMEOUT, "The request timed out. Nothing was changed.")
        };
        with_code(code, message)
    })
}

impl AdmittedOperation {
    /// Executes a query or mutation. `writing` is set as soon as it may write.
    ///
    /// # Errors
    /// Why the operation was not executed.
    pub async fn execute(self, writing: &AtomicBool) -> Result<Executed, Vec<ServerError>> {
        let operation = &self.operation;
        let engine = &operation.requester.engine;
        let is_query = operation.ty() == OperationType::Query;
        let mut context =
            Arc::new(self.context(self.choose_snapshot(is_query), self.meter()).await);
        // What an earlier operation of the same request has written stays written.
        writing.fetch_or(!is_query, Ordering::Relaxed);
        let recorder = OperationRecorder::new(operation, &self.timer);
        let mut response = operation.resolve(&context).await;
        let is_unavailable = |error| code_of(error) == Some(code::UNAVAILABLE);
        if context.is_on_replica().await && response.errors.iter().any(is_unavailable) {
            // The replica is down, or cancelled the read because it conflicted with replay.
            let snapshot = Snapshot::new(operation.requester.snapshot.database());
            context = Arc::new(self.context(snapshot, self.meter()).await);
            response = operation.resolve(&context).await;
        }
        let has_values = matches!(&response.data, Value::Object(fields) if !fields.is_empty());
        let finished = operation.finish(response);
        // A limit may have been reached after statements were executed.
        let is_field_error = |error: &ServerError| !error.path.is_empty();
        recorder
            .finish(finished.as_ref().map_or_else(|it| it.iter().any(is_field_error), |_| true));
        let mut response = finished?;
        let is_retryable =
            (!has_values || response.data == b"null") && is_retryable(&operation.form, &response);
        response.memory = match context.reserve_response(response.truncate()) {
            Ok(memory) => memory,
            Err(error) if is_query => return Err(vec![server_error(error)]),
            // The mutation is done, so its response is sent in any case.
            Err(_) => None,
        };
        engine.metrics.record_user_errors(&context.user_error_codes());
        let lsn = if context.has_written() { write_lsn(engine, &context).await } else { None };
        Ok(Executed { response, is_retryable, lsn })
    }

    /// The snapshot to read from: a replica's if possible, or else the requester's.
    ///
    /// A query reads from a replica that has replayed what the client has seen. It reads from the
    /// primary if there is no such replica, or if it may select `streamCursor`. The requester's
    /// snapshot is on the primary.
    fn choose_snapshot(&self, is_query: bool) -> Snapshot {
        let requester = &self.operation.requester;
        let written = requester.viewer.as_ref().map_or(requester.min_lsn, Viewer::lsn);
        let min_lsn = requester.min_lsn.max(written);
        // Only the primary knows the position in the event stream.
        let may_use_replica = is_query && !self.operation.form.selects_stream_cursor;
        may_use_replica
            .then(|| Snapshot::on_replica(requester.snapshot.database(), min_lsn))
            .flatten()
            .unwrap_or_else(|| requester.snapshot.clone())
    }
}

impl Operation {
    async fn resolve(&self, context: &Arc<RequestContext>) -> Response {
        let (mut data, mut errors) = (IndexMap::new(), Vec::new());
        let mut documents = self.form.documents(&self.variables).into_iter();
        while let Some(document) = documents.next() {
            let response = self.resolve_document(document, context).await;
            let is_err = response.is_err();
            errors.extend(response.errors);
            match response.data {
                Value::Object(fields) => data.extend(fields),
                _ if errors.iter().any(|error| error.path.is_empty()) => {
                    return Response::from_errors(errors);
                }
                _ => {}
            }
            // The specification executes no further field of a mutation when `data` becomes null.
            let has_next = documents.len() > 0;
            if has_next && is_err && self.form.shape.has_failed(&data, &errors) {
                break;
            }
        }
        let mut response = Response::new(Value::Object(data));
        response.errors = errors;
        response
    }

    async fn resolve_document(
        &self,
        document: ExecutableDocument,
        context: &Arc<RequestContext>,
    ) -> Response {
        let request = self.request_of(document).data(Arc::clone(context));
        let response = self.requester.engine.executor.execute(request);
        // Tokio's cooperative budget would suspend the task in the middle of a level of the query
        // and so split a batch.
        let response = catch_panic(tokio::task::unconstrained(response)).await;
        response.unwrap_or_else(|error| Response::from_errors(vec![error]))
    }

    /// Completes the response of async-graphql.
    ///
    /// Its errors are given codes, and its data is written as JSON.
    ///
    /// # Errors
    /// When the operation was not executed after all.
    pub(super) fn finish(&self, response: Response) -> Result<ExecutionResponse, Vec<ServerError>> {
        let (engine, ty) = (&self.requester.engine, self.ty());
        let mut errors = with_validation_code(response.errors);
        for error in &mut errors {
            let is_lost = is_transient(error) || exceeds_limit(error);
            if ty == OperationType::Mutation && error.path.len() > 1 && is_lost {
                *error = ServerError {
                    path: std::mem::take(&mut error.path),
                    locations: std::mem::take(&mut error.locations),
                    ..with_code(
                        code::OUTCOME_UNKNOWN,
                        "The change was made, but this field of the result could not be read.",
                    )
                };
            }
        }
        if errors.iter().any(|error| is_request_error(error, ty)) {
            errors.retain(|error| is_request_error(error, ty));
            self.charge_rejected(&errors);
            return Err(errors);
        }
        engine.record_errors(&errors);
        let data = self.form.shape.write(&response.data, &errors);
        Ok(ExecutionResponse { data, errors, memory: None })
    }
}

/// The WAL position of a mutation's write, if there are replicas.
///
/// It is also stored with the session. Without it, the session reads from the primary.
async fn write_lsn(engine: &GraphqlEngine, context: &RequestContext) -> Option<Lsn> {
    if !engine.services.db.has_replicas() {
        return None;
    }
    let session = context.viewer().map(|viewer| viewer.session().id);
    match tokio::time::timeout(WRITE_LSN_TIMEOUT, engine.services.db.record_write_lsn(session))
        .await
    {
        Ok(Ok(lsn)) => Some(lsn),
        failed => {
            tracing::warn!(
                ?failed,
                "could not record the LSN of a write; its session reads from the primary"
            );
            None
        }
    }
}

pub(super) fn is_transient(error: &ServerError) -> bool {
    matches!(code_of(error), Some(code::UNAVAILABLE | code::TIMEOUT))
}

/// Whether an operation without values failed for a transient reason.
///
/// It has then changed nothing. Of a mutation, that is certain only if its single root field failed
/// before it wrote.
fn is_retryable(form: &NormalForm, response: &ExecutionResponse) -> bool {
    let is_undone =
        form.root_fields() == 1 && response.errors.iter().all(|error| error.path.len() <= 1);
    response.errors.iter().any(is_transient) && (form.ty == OperationType::Query || is_undone)
}

/// Gives errors without a code the code `GRAPHQL_VALIDATION_FAILED`.
///
/// All errors of resolvers have a code, so the others come from async-graphql's reading of
/// arguments. An argument of a valid operation can only be wrong if it is null: a variable that may
/// be null is valid for an argument with a default.
pub(super) fn with_validation_code(mut errors: Vec<ServerError>) -> Vec<ServerError> {
    for error in errors.iter_mut().filter(|error| code_of(error).is_none()) {
        error.extensions.get_or_insert_default().set("code", code::VALIDATION_FAILED);
    }
    errors
}

/// Whether the error rejects the operation, so that the response has no `data`.
///
/// An error of a field does not reject a mutation, which may have executed fields before it.
fn is_request_error(error: &ServerError, operation: OperationType) -> bool {
    exceeds_limit(error) && (error.path.is_empty() || operation == OperationType::Query)
}

/// Whether the operation was stopped because its work reached a limit.
fn exceeds_limit(error: &ServerError) -> bool {
    matches!(code_of(error), Some(code::QUERY_TOO_COMPLEX | code::RATE_LIMITED))
}
