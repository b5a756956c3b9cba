//! What every transport does with a request that it has read: the document is admitted, its variables are
//! coerced, the viewer is known; then it runs, once, or for as long as there are events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
};
use async_graphql::{
    Pos, Request as GraphQlRequest, Response as GraphQlAnswer, ServerError, Variables,
};

use super::answer::Answer;
use super::documents::{Key, Known};
use super::guard::refuse;
use super::note::Noted;
use super::parameters::Parameters;
use super::task::caught;
use super::{Shared, variables};
use crate::auth::{Client, Viewer, Who};
use crate::budget::Budget;
use crate::database::{Lsn, Snapshot};
use crate::error::Error;
use crate::schema::{Allowance, Caller, code, code_of};
use crate::trace::Began;

/// How long a mutation's answer waits for its place in the log.
const MARK: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Clone)]
pub struct Asker {
    pub snapshot: Snapshot,
    pub viewer: Option<Viewer>,
    pub client: Client,
    /// What the client has seen or written elsewhere.
    pub seen: Lsn,
}

impl Asker {
    pub fn who(&self) -> Who {
        Who::of(self.viewer.as_ref(), &self.client)
    }
}

/// An asker who has paid for an operation.
pub(super) struct Admitted<'a> {
    asker: &'a Asker,
    allowance: Option<Allowance>,
    budget: &'a Budget,
}

impl Admitted<'_> {
    pub(super) async fn caller(&self, snapshot: Snapshot) -> Arc<Caller> {
        let who = (self.asker.viewer.clone(), self.asker.client.clone());
        Arc::new(Caller::new(snapshot, who, self.allowance, self.budget).await)
    }
}

/// A request that ran.
pub struct Executed {
    pub answer: Answer,
    /// The same may be sent again.
    pub retryable: bool,
    /// For the client to send with its next requests.
    pub lsn: Option<Lsn>,
}

/// A request that may run.
pub struct Operation {
    key: Key,
    known: Arc<Known>,
    document: ExecutableDocument,
    variables: Variables,
    pub(super) is_proven: bool,
}

impl Operation {
    /// # Errors
    /// What is wrong with the document or its variables.
    pub fn new(shared: &Shared, mut parameters: Parameters) -> Result<Self, ServerError> {
        let (text, to_be_kept) = shared.persisted.text(&mut parameters)?;
        let given = parameters.variables.unwrap_or_default();
        let key = Key::new(text, parameters.operation_name, &given);
        let known = shared.documents.admit(&key, &shared.limits)?;
        if to_be_kept && !known.is_secret(&key) {
            shared.persisted.keep(key.text());
        }
        let mut document = known.admitted.document.clone();
        let variables = variables::coerce(&mut document, key.operation(), given)?;
        let is_proven =
            known.is_proven() && variables::are_plain(&known.admitted.operation, &variables);
        Ok(Self { key, known, document, variables, is_proven })
    }

    pub fn ty(&self) -> OperationType {
        self.definition().ty
    }

    fn definition(&self) -> &OperationDefinition {
        &self.known.admitted.operation
    }

    /// What it costs, from whoever asks.
    ///
    /// # Errors
    /// `QUERY_TOO_COMPLEX`, `RATE_LIMITED`.
    pub(super) async fn admit<'a>(
        &self,
        shared: &'a Shared,
        asker: &'a Asker,
    ) -> Result<Admitted<'a>, ServerError> {
        let (limits, budget) = (&shared.limits, &shared.budget);
        let most = match self.ty() {
            OperationType::Subscription => limits.max_event_complexity,
            _ => limits.max_complexity,
        };
        // What has no price is not valid: it will be refused.
        let Some(cost) = self.price(shared).await else {
            return Ok(Admitted { asker, allowance: None, budget });
        };
        if cost > most {
            self.note_refused(shared, asker.who());
            return Err(refuse(
                code::QUERY_TOO_COMPLEX,
                format!(
                    "This costs {cost}, and {most} are allowed. Ask for smaller pages or fewer levels."
                ),
            ));
        }
        let balance = shared.quota.charge(asker.who(), cost)?;
        let allowance = balance.map(|balance| Allowance { cost, balance });
        Ok(Admitted { asker, allowance, budget })
    }

    /// Of the operation that runs, whatever stands beside it; without variables, it is always the same.
    async fn price(&self, shared: &Shared) -> Option<usize> {
        if let Some(price) = self.known.price.get() {
            return Some(*price);
        }
        let mut document = self.document.clone();
        if let DocumentOperations::Multiple(operations) = &mut document.operations {
            let name = self.key.operation().unwrap_or_default();
            document.operations = DocumentOperations::Single(operations.remove(name)?);
        }
        let mut request = GraphQlRequest::new("").variables(self.variables.clone());
        request.set_parsed_query(document);
        let price = shared.schema.price(request).await?;
        if self.definition().variable_definitions.is_empty() {
            let _ = self.known.price.set(price);
        }
        Some(price)
    }

    pub(super) fn note_refused(&self, shared: &Shared, who: Who) {
        shared.quota.note_refused(who, self.key.text().len());
    }

    pub(super) fn request(&self) -> GraphQlRequest {
        let mut request = GraphQlRequest::new("").variables(self.variables.clone());
        request.operation_name = self.key.operation().map(str::to_owned);
        request.set_parsed_query(self.document.clone());
        request
    }

    /// Runs a query or a mutation. Says by `writing` when something may have been written from now on.
    ///
    /// # Errors
    /// Why it did not come to run.
    pub async fn run(
        self,
        shared: &Shared,
        asker: Asker,
        writing: &AtomicBool,
    ) -> Result<Executed, Vec<ServerError>> {
        let began = Began::now();
        let admitted = self.admit(shared, &asker).await.map_err(|error| vec![error])?;
        let is_query = self.ty() == OperationType::Query;
        let since = asker.viewer.as_ref().map_or(asker.seen, |viewer| asker.seen.max(viewer.lsn()));
        let from_replica = is_query && !self.known.goes_live();
        let of_replica = from_replica.then(|| Snapshot::of_replica(&shared.database, since));
        let snapshot = of_replica.flatten().unwrap_or_else(|| asker.snapshot.clone());
        let execute = async |caller: &Arc<Caller>| {
            // Tokio makes a task pause after so many steps; in the middle of a level that would tear a
            // batch.
            let request = self.request().data(Arc::clone(caller));
            let answer = shared.schema.execute(request, self.is_proven);
            let answer = caught(tokio::task::unconstrained(answer)).await;
            answer.unwrap_or_else(|error| GraphQlAnswer::from_errors(vec![error]))
        };
        let mut caller = admitted.caller(snapshot).await;
        // What an earlier operation of the same request has written stays written.
        writing.fetch_or(!is_query, Ordering::Relaxed);
        let noted = Noted::new(&self, shared, began);
        let mut answer = execute(&caller).await;
        let unavailable = |error| code_of(error) == Some(code::UNAVAILABLE);
        if caller.is_on_replica().await && answer.errors.iter().any(unavailable) {
            // The replica is gone, or gave up a read for the sake of what it replays.
            caller = admitted.caller(Snapshot::new(&shared.database)).await;
            answer = execute(&caller).await;
        }
        let finished = self.finish(shared, asker.who(), answer);
        noted.end(finished.is_ok());
        let mut answer = finished?;
        let retryable = is_retryable(self.definition(), &answer);
        answer.share = match caller.share(answer.data.len()) {
            Ok(share) => share,
            Err(error) if is_query => return Err(vec![refusal(error)]),
            // It is done, and will be told.
            Err(_) => None,
        };
        shared.metrics.user_errors(&caller.failures());
        let lsn = if caller.has_written() { mark(shared, &caller).await } else { None };
        Ok(Executed { answer, retryable, lsn })
    }

    /// What it is called where that may be one of many: by the operator, or else by the schema.
    pub(super) fn name<'a>(&'a self, shared: &'a Shared) -> &'a str {
        let trusted = shared.persisted.name_of(self.key.text());
        trusted.or_else(|| self.known.first_field()).unwrap_or_default()
    }

    /// # Errors
    /// When it did not run after all.
    pub(super) fn finish(
        &self,
        shared: &Shared,
        who: Who,
        answer: GraphQlAnswer,
    ) -> Result<Answer, Vec<ServerError>> {
        let ty = self.ty();
        let mut errors = named(answer.errors);
        for error in &mut errors {
            let is_lost = is_temporary(error) || code_of(error) == Some(code::QUERY_TOO_COMPLEX);
            if ty == OperationType::Mutation && error.path.len() > 1 && is_lost {
                // The verb is done; what it did could not be read.
                "The change was made, but this could not be read.".clone_into(&mut error.message);
                error.extensions.get_or_insert_default().set("code", code::OUTCOME_UNKNOWN);
            }
        }
        if errors.iter().any(|error| is_request_error(error, ty)) {
            self.note_refused(shared, who);
            return Err(errors);
        }
        shared.metrics.errors(&errors);
        shared.documents.keep(&self.key, &self.known);
        let data = self.known.shape.write(&answer.data, &errors);
        Ok(Answer { data, errors, share: None })
    }
}

/// Whoever has this token.
///
/// # Errors
/// `UNAUTHENTICATED` when nobody has; or as the database says.
pub async fn authenticate(
    shared: &Shared,
    snapshot: &Snapshot,
    token: Option<&str>,
) -> Result<Viewer, Error> {
    let message = "Authorization must read 'Bearer <token>'.";
    let token = token.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let token = token.ok_or(Error::Unauthenticated(message))?;
    let viewer = Viewer::authenticate(snapshot, token).await?;
    shared.presence.note(&viewer);
    Ok(viewer)
}

/// An error of a request that did not run.
pub fn refusal(error: Error) -> ServerError {
    let error: async_graphql::Error = error.into();
    let mut error = error.into_server_error(Pos::default());
    error.locations.clear();
    error
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

fn is_temporary(error: &ServerError) -> bool {
    matches!(code_of(error), Some(code::UNAVAILABLE | code::TIMEOUT))
}

/// Whether the request failed for a reason that passes, and may be sent again: nothing of it was done. Of
/// a mutation, that is known when its only field did not come to write.
fn is_retryable(operation: &OperationDefinition, answer: &Answer) -> bool {
    let fields = &operation.selection_set.node.items;
    let only_field = matches!(&fields[..], [one] if matches!(one.node, Selection::Field(_)));
    let undone = only_field && answer.errors.iter().all(|error| error.path.len() <= 1);
    answer.data == b"null"
        && answer.errors.iter().any(is_temporary)
        && (operation.ty == OperationType::Query || undone)
}

/// Resolvers' errors all have a code. Without one, it is a document that is not valid, or one with an argument that the
/// library cannot read.
pub(super) fn named(mut errors: Vec<ServerError>) -> Vec<ServerError> {
    for error in &mut errors {
        if code_of(error).is_none() {
            error.extensions.get_or_insert_default().set("code", code::VALIDATION_FAILED);
            // The library's word is hard to understand.
            let one_of = "Oneof input objects requires have exactly one field";
            error.message = error.message.replace(one_of, "give exactly one of its fields");
        }
    }
    errors
}

/// Errors of a document that did not run: its answer has no `data`. Of a mutation, something may have
/// run before the field at fault.
fn is_request_error(error: &ServerError, operation: OperationType) -> bool {
    matches!(code_of(error), Some(code::VALIDATION_FAILED | code::QUERY_TOO_COMPLEX))
        && (error.path.is_empty() || operation == OperationType::Query)
}
