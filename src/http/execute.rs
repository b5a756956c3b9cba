//! What every transport does with a request that it has read: the document is admitted, its variables are
//! coerced, the viewer is known; then it runs, once, or for as long as there are events.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, OperationType, Selection,
};
use async_graphql::{
    Pos, Request as GraphQlRequest, Response as GraphQlAnswer, ServerError, Value, Variables,
};
use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::Span;

use super::documents::{Key, Known};
use super::guard::refuse;
use super::parameters::Parameters;
use super::{Shared, variables};
use crate::auth::{Client, Viewer, Who};
use crate::database::{Lsn, Snapshot};
use crate::error::Error;
use crate::schema::{Allowance, Caller, code, code_of, take_turns};
use crate::trace::Work;

/// How long a mutation's answer waits for its place in the log.
const MARK: Duration = Duration::from_secs(1);

/// However much is wrong, an answer stays small.
const MAX_ERRORS: usize = 20;
const MAX_MESSAGE: usize = 300;

/// Who asks.
#[derive(Clone)]
pub struct Asker {
    pub snapshot: Snapshot,
    pub viewer: Option<Viewer>,
    pub client: Client,
    /// What the client has seen or written elsewhere.
    pub seen: Lsn,
}

/// An asker who has paid for an operation.
struct Admitted<'a> {
    asker: &'a Asker,
    allowance: Option<Allowance>,
    /// Bytes of text that the answer may have.
    room: usize,
}

impl Admitted<'_> {
    async fn caller(&self, snapshot: Snapshot) -> Arc<Caller> {
        let who = (self.asker.viewer.clone(), self.asker.client.clone());
        Arc::new(Caller::new(snapshot, who, self.allowance, self.room).await)
    }
}

/// Data in JSON, and errors.
pub struct Answer {
    pub data: Vec<u8>,
    pub errors: Vec<ServerError>,
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
    is_proven: bool,
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
    async fn admit<'a>(
        &self,
        shared: &Shared,
        asker: &'a Asker,
    ) -> Result<Admitted<'a>, ServerError> {
        let limits = &shared.limits;
        let most = match self.ty() {
            OperationType::Subscription => limits.max_event_complexity,
            _ => limits.max_complexity,
        };
        let who = Who::of(asker.viewer.as_ref(), &asker.client);
        // What is not valid costs what is refused.
        let Some(cost) = shared.schema.price(self.request()).await else {
            shared.quota.note_refused(asker.client.network, self.key.text().len());
            return Ok(Admitted { asker, allowance: None, room: limits.max_answer });
        };
        if cost > most {
            shared.quota.note_refused(asker.client.network, self.key.text().len());
            return Err(refuse(
                code::QUERY_TOO_COMPLEX,
                format!(
                    "This costs {cost}, and {most} are allowed. Ask for smaller pages or fewer levels."
                ),
            ));
        }
        let balance = shared.quota.take(who, cost)?;
        let allowance = balance.map(|balance| Allowance { cost, balance });
        Ok(Admitted { asker, allowance, room: limits.max_answer })
    }

    fn request(&self) -> GraphQlRequest {
        let mut request = GraphQlRequest::new(self.key.text()).variables(self.variables.clone());
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
        let (began, work) = (Instant::now(), Work::current());
        let before = work.statements();
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
        let mut answer = execute(&caller).await;
        let unavailable = |error| code_of(error) == Some(code::UNAVAILABLE);
        if caller.is_on_replica().await && answer.errors.iter().any(unavailable) {
            // The replica is gone, or gave up a read for the sake of what it replays.
            caller = admitted.caller(Snapshot::new(&shared.database)).await;
            answer = execute(&caller).await;
        }
        let retryable = is_retryable(self.definition(), &answer);
        let answer = self.finish(shared, answer)?;
        self.note(shared, began, work.statements() - before);
        let lsn = if caller.has_written() { mark(shared, &caller).await } else { None };
        Ok(Executed { answer, retryable, lsn })
    }

    /// Runs a subscription: an answer for each event; an error when it does not come to run. After either an error
    /// or an answer without data, which has no place to go on from, there is none.
    pub async fn stream(
        self,
        shared: Shared,
        asker: Asker,
    ) -> BoxStream<'static, Result<Answer, Vec<ServerError>>> {
        let (began, work) = (Instant::now(), Work::current());
        let caller = match self.admit(&shared, &asker).await {
            Ok(admitted) => admitted.caller(asker.snapshot.clone()).await,
            Err(error) => return stream::iter([Err(vec![error])]).boxed(),
        };
        drop(asker);
        // Who waits keeps no connection.
        caller.rest().await;
        let request = self.request().data(Arc::clone(&caller));
        let answers = shared.schema.stream(request, self.is_proven);
        self.note(&shared, began, work.statements());
        let all = (answers, self, shared, caller, Some(true));
        let answers = stream::unfold(all, async |(mut answers, this, shared, caller, first)| {
            let is_first = first?;
            let answer = tokio::task::unconstrained(take_turns(answers.next()));
            let answer = match caught(answer).await {
                Ok(answer) => answer?,
                Err(error) => {
                    return Some((Err(vec![error]), (answers, this, shared, caller, None)));
                }
            };
            // What the next event shows is read anew; until then no connection is kept.
            caller.rest().await;
            let is_last = answer.data == Value::Null;
            let answer = if is_first && is_last && answer.is_err() {
                // Without a first event there is no stream.
                Err(named(shared.limits.max_complexity, answer.errors))
            } else {
                this.finish(&shared, answer)
            };
            let more = (!is_last && answer.is_ok()).then_some(false);
            Some((answer, (answers, this, shared, caller, more)))
        });
        answers.boxed()
    }

    /// How long it took, and how many statements.
    fn note(&self, shared: &Shared, began: Instant, statements: u64) {
        let (took, ty) = (began.elapsed(), self.ty());
        let name = shared.persisted.name_of(self.key.text()).or_else(|| self.known.first_field());
        let name = name.unwrap_or_default();
        shared.metrics.operation(name, ty, (took, statements));
        let span = Span::current();
        span.record("operation", name).record("statements", statements);
        if took >= shared.slow {
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(operation = name, r#type = %ty, milliseconds, statements, "slow");
        }
    }

    /// # Errors
    /// When it did not run after all.
    fn finish(&self, shared: &Shared, answer: GraphQlAnswer) -> Result<Answer, Vec<ServerError>> {
        let ty = self.ty();
        let mut errors = named(shared.limits.max_complexity, answer.errors);
        for error in &mut errors {
            if ty == OperationType::Mutation && error.path.len() > 1 && is_temporary(error) {
                // The verb is done; what it did could not be read.
                "The change was made, but this could not be read.".clone_into(&mut error.message);
                error.extensions.get_or_insert_default().set("code", code::OUTCOME_UNKNOWN);
            }
        }
        if errors.iter().any(|error| is_request_error(error, ty)) {
            return Err(errors);
        }
        shared.metrics.errors(&errors);
        shared.documents.keep(&self.key, &self.known);
        let data = self.known.shape.write(&answer.data, &errors);
        Ok(Answer { data, errors })
    }
}

/// A panic is our mistake: it ends what it happens in, and nothing else.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, ServerError> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        panicked(&*panic);
        refusal(Error::Internal)
    })
}

/// Logs what a panic said.
pub fn panicked(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    tracing::error!(message, "a request panicked");
}

/// A stream that does its work on a task of its own, one item ahead: who is slow to take them keeps no connection to the
/// database, and no lock, in the middle of one.
pub fn on_its_own<T: Send + 'static>(
    work: Arc<Work>,
    mut items: BoxStream<'static, T>,
) -> BoxStream<'static, T> {
    let (sender, receiver) = mpsc::channel(1);
    let task = tokio::spawn(work.within(async move {
        while let Some(item) = items.next().await {
            if sender.send(item).await.is_err() {
                break;
            }
        }
    }));
    let all = (receiver, AbortOnDrop(task.abort_handle()));
    stream::unfold(all, async |(mut receiver, task)| {
        Some((receiver.recv().await?, (receiver, task)))
    })
    .boxed()
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    pub fn into_json(mut self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.data.len() + 16);
        json.extend_from_slice(b"{\"data\":");
        json.extend_from_slice(&self.data);
        if !self.errors.is_empty() {
            shorten(&mut self.errors);
            json.extend_from_slice(b",\"errors\":");
            json.extend(serde_json::to_vec(&self.errors).unwrap_or_else(|_| b"[]".to_vec()));
        }
        json.push(b'}');
        json
    }
}

/// The answer to a request that did not run.
pub fn errors_as_json(mut errors: Vec<ServerError>) -> Vec<u8> {
    shorten(&mut errors);
    serde_json::json!({ "errors": errors }).to_string().into_bytes()
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

pub fn shorten(errors: &mut Vec<ServerError>) {
    errors.truncate(MAX_ERRORS);
    for error in errors {
        if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE) {
            error.message.truncate(end);
            error.message.push('…');
        }
    }
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
fn named(max_complexity: usize, mut errors: Vec<ServerError>) -> Vec<ServerError> {
    for error in &mut errors {
        if error.message == "Query is too complex." {
            let message = format!(
                "The query costs more than {max_complexity}. Ask for smaller pages or fewer levels."
            );
            *error = refuse(code::QUERY_TOO_COMPLEX, message);
        } else if code_of(error).is_none() {
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
