//! The stages from a client's request to an operation that may be executed.
//!
//! 1. [`Arrival`]: a client and its credentials.
//! 2. [`Checked`]: a client that is known to be over its rate limit is rejected, before its request
//!    is read or anything else is done for it.
//! 3. [`Permitted`]: the request holds a permit of the concurrency limiter.
//! 4. [`Requester`]: the token is verified; requests with invalid tokens are charged. A new token
//!    of the identity provider opens a session.
//! 5. [`Operation`]: the rate limit of the viewer is checked, the document is found or parsed, the
//!    variables are coerced; rejected documents are charged. The transport may look at its type.
//! 6. [`AdmittedOperation`]: the cost is within its maximum and charged to the rate limit.
//!
//! Each stage is made from the one before, and only the last one can be executed. A transport can
//! therefore neither skip a stage nor change their order.

use std::sync::Arc;

use async_graphql::parser::types::{ExecutableDocument, OperationType};
use async_graphql::{Request, ServerError, Variables};

use super::authentication::verify;
use super::document::NormalForm;
use super::document_cache::DocumentKey;
use super::engine::GraphqlEngine;
use super::parameters::GraphQLParams;
use crate::auth::{Client, Viewer};
use crate::database::{Database, Lsn, Snapshot};
use crate::error::Error;
use crate::limits::{ClientNetwork, RateLimitKey, RequestPermit, WorkMeter};
use crate::schema::{RequestContext, RequestCost, code, code_of, server_error, with_code};
use crate::telemetry::OperationTimer;

/// A request whose client is known, and nothing else.
#[derive(Clone)]
pub struct Arrival {
    engine: Arc<GraphqlEngine>,
    client: Client,
    /// Value of the header `Authorization`, or of its counterpart in other transports.
    authorization: Option<String>,
    /// The rate limit of a connection whose token was verified when it was opened.
    connection_key: Option<RateLimitKey>,
    /// The oldest state of the database that the client accepts.
    min_lsn: Lsn,
}

/// An arrival whose client is not known to be over its rate limit.
pub struct Checked {
    arrival: Arrival,
    first_point: Option<FirstPoint>,
}

/// The first cost point of a request, taken from this rate limit.
#[derive(PartialEq, Eq)]
struct FirstPoint(RateLimitKey);

/// An arrival that may use the database.
pub struct Permitted {
    checked: Checked,
    permit: Arc<RequestPermit>,
    /// The handle of all operations of the request.
    database: Database,
}

/// The viewer, or an anonymous client, with a snapshot to read from.
pub struct Requester {
    pub(super) engine: Arc<GraphqlEngine>,
    pub(super) snapshot: Snapshot,
    pub(super) viewer: Option<Viewer>,
    pub(super) client: Client,
    pub(super) min_lsn: Lsn,
    /// The permit of the concurrency limiter, held until the operation is executed.
    ///
    /// A subscription releases the permit when it is created.
    pub(super) permit: Option<Arc<RequestPermit>>,
    first_point: Option<FirstPoint>,
}

/// An operation whose document and variables can be executed.
pub struct Operation {
    pub(super) requester: Requester,
    pub(super) text: String,
    pub(super) form: Arc<NormalForm>,
    pub(super) variables: Variables,
}

/// An operation that is paid for.
pub struct AdmittedOperation {
    pub(super) operation: Operation,
    pub(super) timer: OperationTimer,
    document_cost: usize,
    cost: Option<RequestCost>,
}

impl Arrival {
    /// An arrival with the credentials of a client.
    ///
    /// A blank value is that of a client that is signed out, which is anonymous.
    pub fn new(engine: &Arc<GraphqlEngine>, client: Client, authorization: Option<String>) -> Self {
        let (engine, min_lsn) = (Arc::clone(engine), Lsn::default());
        let authorization = authorization.filter(|value| !value.trim().is_empty());
        Self { engine, client, authorization, connection_key: None, min_lsn }
    }

    /// The same, on a connection whose token was verified when it was opened.
    #[must_use]
    pub fn on_connection(self, key: RateLimitKey) -> Self {
        Self { connection_key: Some(key), ..self }
    }

    /// Takes the first cost point of a request whose rate limit is already known.
    ///
    /// This limit is that of the connection, or of an anonymous client's network. Another client
    /// that sends a token pays after the token is verified.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn check_rate(self) -> Result<Checked, Error> {
        let is_anonymous = self.authorization.is_none();
        let key = self.connection_key.or_else(|| is_anonymous.then(|| self.network_key()));
        if let Some(key) = key {
            self.engine.cost_limiter.check(key)?;
        }
        Ok(Checked { arrival: self, first_point: key.map(FirstPoint) })
    }

    fn network_key(&self) -> RateLimitKey {
        RateLimitKey::Network(self.client.network)
    }
}

impl Checked {
    /// The same, reading no state of the database older than `lsn`.
    #[must_use]
    pub fn with_min_lsn(mut self, lsn: Lsn) -> Self {
        self.arrival.min_lsn = lsn;
        self
    }

    /// Charges a request that could not be read to its network's rate limit.
    pub fn charge_unreadable(&self) {
        let Arrival { engine, .. } = &self.arrival;
        engine.cost_limiter.charge_rejected(self.arrival.network_key(), 0);
    }

    /// Waits for a permit to execute.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the server is overloaded.
    pub async fn permit(self) -> Result<Permitted, Error> {
        let Arrival { engine, client, .. } = &self.arrival;
        let permit = engine.concurrency.acquire(client.network).await?.into();
        let database = engine.services.db.for_request(client.network);
        Ok(Permitted { checked: self, permit, database })
    }
}

impl Permitted {
    /// Verifies the token. In a batch, this is done for each operation.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when there is a token that is not valid; [`Error::RateLimited`]
    /// when there is such a token and its network has reached its rate limit, so that guessing
    /// tokens is bounded; any error of the database.
    pub async fn authenticate(&mut self) -> Result<Requester, Error> {
        let Checked { arrival, first_point } = &mut self.checked;
        let (engine, client) = (&arrival.engine, &arrival.client);
        let snapshot = Snapshot::new(&self.database);
        let viewer = match arrival.authorization.as_deref() {
            None => None,
            Some(authorization) => match verify(engine, &snapshot, authorization, client).await {
                Ok(viewer) => Some(viewer),
                // A token that was valid when its connection was opened is not a guess.
                Err(error @ Error::Unauthenticated(_)) if arrival.connection_key.is_none() => {
                    engine.cost_limiter.check(arrival.network_key())?;
                    engine.cost_limiter.charge_rejected(arrival.network_key(), 0);
                    return Err(error);
                }
                Err(error) => return Err(error),
            },
        };
        Ok(Requester {
            engine: Arc::clone(engine),
            snapshot,
            viewer,
            client: arrival.client.clone(),
            min_lsn: arrival.min_lsn,
            permit: Some(Arc::clone(&self.permit)),
            first_point: first_point.take(),
        })
    }

    /// Lets the operations that follow in a batch see what an earlier one has written.
    pub fn read_no_older_than(&mut self, lsn: Lsn) {
        let Checked { arrival, .. } = &mut self.checked;
        arrival.min_lsn = arrival.min_lsn.max(lsn);
    }
}

impl Requester {
    pub fn rate_limit_key(&self) -> RateLimitKey {
        RateLimitKey::for_request(self.viewer.as_ref().map(Viewer::id), self.client.network)
    }

    pub fn is_anonymous(&self) -> bool {
        self.viewer.is_none()
    }

    /// Finds or validates the document, and coerces the variables.
    ///
    /// # Errors
    /// `RATE_LIMITED`, or why the document or its variables are rejected.
    pub fn prepare(self, params: GraphQLParams) -> Result<Operation, Vec<ServerError>> {
        let key = self.rate_limit_key();
        if self.first_point != Some(FirstPoint(key)) {
            self.engine.cost_limiter.check(key).map_err(|error| vec![server_error(error)])?;
        }
        let bytes = params.query.as_ref().map_or(0, String::len);
        let engine = Arc::clone(&self.engine);
        self.prepare_operation(params)
            .inspect_err(|_| engine.cost_limiter.charge_rejected(key, bytes))
    }

    fn prepare_operation(self, mut params: GraphQLParams) -> Result<Operation, Vec<ServerError>> {
        let GraphqlEngine { persisted, documents, schema, limits, .. } = &*self.engine;
        let (text, is_registered) = persisted.text(&mut params).map_err(|error| vec![error])?;
        let key = DocumentKey::new(text, params.operation_name);
        let operation = documents.get_or_validate(&key, schema, limits)?;
        if is_registered && !operation.has_mutation_with_strings() {
            persisted.insert(key.text());
        }
        let variables = operation.coerce(schema, params.variables.unwrap_or_default())?;
        let form = operation.normal_form(schema, &variables);
        if self.is_anonymous()
            && !self.engine.has_anonymous_introspection
            && form.selects_introspection()
        {
            let message = "Only signed-in users may select __schema and __type.";
            return Err(vec![server_error(Error::Unauthenticated(message))]);
        }
        Ok(Operation { requester: self, text: key.into_text(), form, variables })
    }
}

impl Operation {
    pub fn ty(&self) -> OperationType {
        self.form.ty
    }

    pub fn rate_limit_key(&self) -> RateLimitKey {
        self.requester.rate_limit_key()
    }

    pub fn network(&self) -> ClientNetwork {
        self.requester.client.network
    }

    pub fn is_anonymous(&self) -> bool {
        self.requester.is_anonymous()
    }

    /// Computes the cost and charges it to the rate limit.
    ///
    /// # Errors
    /// `QUERY_TOO_COMPLEX`, `RATE_LIMITED`.
    pub async fn admit(self) -> Result<AdmittedOperation, ServerError> {
        let timer = OperationTimer::start();
        let engine = &self.requester.engine;
        let max = match self.ty() {
            OperationType::Subscription => engine.limits.max_event_complexity,
            _ => engine.limits.max_complexity,
        };
        let cost = self.complexity().await;
        if cost > max {
            self.charge_rejected(&[]);
            let message = format!(
                "Query cost {cost} exceeds the maximum of {max}. Request smaller pages or fewer \
                 nested lists."
            );
            return Err(with_code(code::QUERY_TOO_COMPLEX, message));
        }
        let status = engine.cost_limiter.charge(self.rate_limit_key(), cost);
        let status = status.map_err(server_error)?;
        let document_cost = cost;
        let cost = status.map(|status| RequestCost { cost, status });
        Ok(AdmittedOperation { operation: self, timer, document_cost, cost })
    }

    /// The cost of the operation. It is cached if no variable can change it.
    async fn complexity(&self) -> usize {
        if let Some(cost) = self.form.complexity.get() {
            return *cost;
        }
        let request = self.request_of(self.form.priced_document(&self.variables));
        let cost = self.requester.engine.executor.complexity(request).await;
        if !self.form.has_variables() {
            let _ = self.form.complexity.set(cost);
        }
        cost
    }

    /// Charges an operation that was rejected with `errors`.
    ///
    /// A client that has reached its rate limit pays nothing more.
    pub(super) fn charge_rejected(&self, errors: &[ServerError]) {
        if errors.iter().any(|error| code_of(error) == Some(code::RATE_LIMITED)) {
            return;
        }
        let key = self.rate_limit_key();
        self.requester.engine.cost_limiter.charge_rejected(key, self.text.len());
    }

    /// Releases the text, unless it is a trusted document, which has a name.
    ///
    /// Only its size is needed further, and only until a subscription is created.
    pub(super) fn release_text(&mut self) {
        if self.requester.engine.persisted.name_of(&self.text).is_none() {
            self.text = String::new();
        }
    }

    pub(super) fn request(&self) -> Request {
        self.request_of(self.form.document(&self.variables))
    }

    pub(super) fn request_of(&self, document: ExecutableDocument) -> Request {
        let mut request = Request::new("").variables(self.variables.clone());
        request.set_parsed_query(document);
        request
    }

    /// The operation's name in logs and metrics, which clients cannot choose.
    ///
    /// It is the operator's for a trusted document, or else the schema's name of the first field.
    pub(super) fn name(&self) -> &str {
        let trusted = self.requester.engine.persisted.name_of(&self.text);
        trusted.or_else(|| self.form.first_field()).unwrap_or_default()
    }
}

impl AdmittedOperation {
    pub fn ty(&self) -> OperationType {
        self.operation.ty()
    }

    /// A meter for the work of the operation.
    pub(super) fn meter(&self) -> Arc<WorkMeter> {
        let engine = &self.operation.requester.engine;
        let (key, max) = (self.operation.rate_limit_key(), engine.limits.max_work);
        let status = self.cost.map(|cost| cost.status);
        WorkMeter::new(&engine.cost_limiter, key, max).with_cost(self.document_cost, status).into()
    }

    /// A context for the resolvers that reads from `snapshot`.
    ///
    /// `meter` counts the reads.
    pub(super) async fn context(
        &self,
        snapshot: Snapshot,
        meter: Arc<WorkMeter>,
    ) -> RequestContext {
        let Requester { viewer, client, engine, .. } = &self.operation.requester;
        let memory = engine.response_memory.start(client.network);
        let services = engine.services.with_database(snapshot.database());
        let (viewer, client) = (viewer.clone(), client.clone());
        let context = RequestContext::new(services, snapshot, meter, viewer, client, memory);
        context.await.with_query(self.ty() == OperationType::Query).with_cost(self.cost)
    }
}
