//! Admission: the stages from a client's request to an operation that may be executed.
//!
//! 1. [`Arrival`]: a client and its credentials. [`Arrival::check_rate`] rejects anonymous clients
//!    over their rate limit before their request is read.
//! 2. [`Permitted`]: the request holds a permit of the concurrency limiter.
//! 3. [`Requester`]: the token is verified; requests with invalid tokens are charged.
//! 4. [`Operation`]: the rate limit is checked, the document is found or parsed, the variables are
//!    coerced; rejected documents are charged. The transport may look at the operation's type.
//! 5. [`AdmittedOperation`]: the cost is within its maximum and charged to the rate limit.
//!
//! Each stage is made from the one before, and only the last one can be executed. A transport can
//! therefore neither skip a stage nor change their order.

use std::sync::Arc;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use async_graphql::{Request, ServerError, Variables};

use super::document_cache::{DocumentKey, PreparedDocument};
use super::engine::GraphqlEngine;
use super::parameters::GraphQLParams;
use super::variables;
use crate::auth::{Client, Viewer};
use crate::database::{Lsn, Snapshot};
use crate::error::Error;
use crate::limits::{RateLimitKey, RequestPermit};
use crate::schema::{RequestContext, RequestCost, code, server_error, with_code};
use crate::telemetry::OperationTimer;

/// A request whose client is known, and nothing else.
#[derive(Clone)]
pub struct Arrival {
    engine: Arc<GraphqlEngine>,
    client: Client,
    /// The value of the header `Authorization`, or of its counterpart in another transport.
    authorization: Option<String>,
    /// The oldest state of the database that the client accepts.
    min_lsn: Lsn,
    /// Whether [`Self::check_rate`] has taken the first cost point.
    first_point_paid: bool,
}

/// An arrival that may use the database.
pub struct Permitted {
    arrival: Arrival,
    permit: Arc<RequestPermit>,
}

/// The viewer, or an anonymous client, with a snapshot to read from.
pub struct Requester {
    pub(super) engine: Arc<GraphqlEngine>,
    pub(super) snapshot: Snapshot,
    pub(super) viewer: Option<Viewer>,
    pub(super) client: Client,
    pub(super) min_lsn: Lsn,
    /// Held until the operation is executed; a subscription releases it when it is created.
    pub(super) permit: Option<Arc<RequestPermit>>,
    first_point_paid: bool,
}

/// An operation whose document and variables can be executed.
pub struct Operation {
    pub(super) requester: Requester,
    pub(super) key: DocumentKey,
    pub(super) prepared: Arc<PreparedDocument>,
    document: ExecutableDocument,
    variables: Variables,
    pub(super) is_validated: bool,
}

/// An operation that is paid for.
pub struct AdmittedOperation {
    pub(super) operation: Operation,
    pub(super) timer: OperationTimer,
    cost: Option<RequestCost>,
}

impl Arrival {
    pub fn new(engine: &Arc<GraphqlEngine>, client: Client, authorization: Option<String>) -> Self {
        let engine = Arc::clone(engine);
        Self { engine, client, authorization, min_lsn: Lsn::default(), first_point_paid: false }
    }

    /// The same, reading no state of the database older than `lsn`.
    #[must_use]
    pub fn with_min_lsn(self, lsn: Lsn) -> Self {
        Self { min_lsn: lsn, ..self }
    }

    /// Takes the first cost point of an anonymous request from its network's rate limit. A client that
    /// sends a token pays when the token is verified.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn check_rate(&mut self) -> Result<(), Error> {
        if self.authorization.is_none() {
            self.engine.cost_limiter.check(self.network_key())?;
            self.first_point_paid = true;
        }
        Ok(())
    }

    /// Charges a request that could not be read to its network's rate limit.
    pub fn charge_unreadable(&self) {
        self.engine.cost_limiter.charge_rejected(self.network_key(), 0);
    }

    /// Waits for a permit to execute.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the server is overloaded.
    pub async fn permit(self) -> Result<Permitted, Error> {
        let permit = self.engine.concurrency.acquire(self.client.network).await?;
        Ok(Permitted { arrival: self, permit: Arc::new(permit) })
    }

    fn network_key(&self) -> RateLimitKey {
        RateLimitKey::Network(self.client.network)
    }
}

impl Permitted {
    /// Verifies the token. In a batch, this is done for each operation.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when there is a token that is not valid; [`Error::RateLimited`]
    /// when there is such a token and its network has reached its rate limit, so that guessing tokens
    /// is bounded; any error of the database.
    pub async fn authenticate(&mut self) -> Result<Requester, Error> {
        let Arrival { engine, client, authorization, min_lsn, first_point_paid } =
            &mut self.arrival;
        let snapshot = Snapshot::new(&engine.database);
        let viewer = match authorization.as_deref() {
            None => None,
            Some(authorization) => match verify(engine, &snapshot, authorization).await {
                Ok(viewer) => Some(viewer),
                Err(error @ Error::Unauthenticated(_)) => {
                    let key = RateLimitKey::Network(client.network);
                    engine.cost_limiter.check(key)?;
                    engine.cost_limiter.charge_rejected(key, 0);
                    return Err(error);
                }
                Err(error) => return Err(error),
            },
        };
        Ok(Requester {
            engine: Arc::clone(engine),
            snapshot,
            first_point_paid: std::mem::take(first_point_paid) && viewer.is_none(),
            viewer,
            client: client.clone(),
            min_lsn: *min_lsn,
            permit: Some(Arc::clone(&self.permit)),
        })
    }

    /// Lets the operations that follow in a batch see what an earlier one has written.
    pub fn read_no_older_than(&mut self, lsn: Lsn) {
        self.arrival.min_lsn = self.arrival.min_lsn.max(lsn);
    }
}

async fn verify(
    engine: &GraphqlEngine,
    snapshot: &Snapshot,
    authorization: &str,
) -> Result<Viewer, Error> {
    let malformed = Error::Unauthenticated("Authorization must read 'Bearer <token>'.");
    let (scheme, token) = authorization.split_once(' ').ok_or(malformed.clone())?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed);
    }
    let viewer = Viewer::authenticate(snapshot, token.trim()).await?;
    engine.activity.record(&viewer);
    Ok(viewer)
}

impl Requester {
    pub fn rate_limit_key(&self) -> RateLimitKey {
        RateLimitKey::for_request(self.viewer.as_ref().map(Viewer::id), self.client.network)
    }

    pub fn is_anonymous(&self) -> bool {
        self.viewer.is_none()
    }

    /// Finds or parses the document, checks its limits and coerces the variables.
    ///
    /// # Errors
    /// `RATE_LIMITED`, or why the document or its variables are rejected.
    pub fn prepare(self, params: GraphQLParams) -> Result<Operation, ServerError> {
        let key = self.rate_limit_key();
        if !self.first_point_paid {
            self.engine.cost_limiter.check(key).map_err(server_error)?;
        }
        let bytes = params.query.as_ref().map_or(0, String::len);
        let engine = Arc::clone(&self.engine);
        self.prepare_document(params)
            .inspect_err(|_| engine.cost_limiter.charge_rejected(key, bytes))
    }

    fn prepare_document(self, mut params: GraphQLParams) -> Result<Operation, ServerError> {
        let engine = &self.engine;
        let (text, is_registered) = engine.persisted.text(&mut params)?;
        let given = params.variables.unwrap_or_default();
        let key = DocumentKey::new(text, params.operation_name, &given);
        let prepared = engine.documents.get_or_prepare(&key, &engine.limits)?;
        if is_registered && !prepared.has_inline_strings(&key) {
            engine.persisted.insert(key.text());
        }
        let mut document = prepared.parsed.document.clone();
        let variables = variables::coerce(&mut document, key.operation(), given)?;
        let is_validated = prepared.is_validated()
            && variables::need_no_coercion(&prepared.parsed.operation, &variables);
        Ok(Operation { requester: self, key, prepared, document, variables, is_validated })
    }
}

impl Operation {
    pub fn ty(&self) -> OperationType {
        self.definition().ty
    }

    pub fn rate_limit_key(&self) -> RateLimitKey {
        self.requester.rate_limit_key()
    }

    pub fn is_anonymous(&self) -> bool {
        self.requester.is_anonymous()
    }

    pub(super) fn definition(&self) -> &OperationDefinition {
        &self.prepared.parsed.operation
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
        // An operation without a cost is not valid; its validation will reject it.
        let Some(cost) = self.complexity().await else {
            return Ok(AdmittedOperation { operation: self, timer, cost: None });
        };
        if cost > max {
            self.charge_rejected();
            let message = format!(
                "Query cost {cost} exceeds the maximum of {max}. Request smaller pages or fewer \
                 nested lists."
            );
            return Err(with_code(code::QUERY_TOO_COMPLEX, message));
        }
        let status = engine.cost_limiter.charge(self.rate_limit_key(), cost);
        let status = status.map_err(server_error)?;
        let cost = status.map(|status| RequestCost { cost, status });
        Ok(AdmittedOperation { operation: self, timer, cost })
    }

    /// The cost of the operation that is executed, whatever other operations the document has. It is
    /// cached where no variable can change it.
    async fn complexity(&self) -> Option<usize> {
        if let Some(cost) = self.prepared.complexity.get() {
            return Some(*cost);
        }
        let mut document = self.document.clone();
        if let DocumentOperations::Multiple(operations) = &mut document.operations {
            let name = self.key.operation().unwrap_or_default();
            document.operations = DocumentOperations::Single(operations.remove(name)?);
        }
        let mut request = Request::new("").variables(self.variables.clone());
        request.set_parsed_query(document);
        let cost = self.requester.engine.executor.complexity(request).await?;
        if self.definition().variable_definitions.is_empty() {
            let _ = self.prepared.complexity.set(cost);
        }
        Some(cost)
    }

    pub(super) fn charge_rejected(&self) {
        let key = self.rate_limit_key();
        self.requester.engine.cost_limiter.charge_rejected(key, self.key.text().len());
    }

    pub(super) fn request(&self) -> Request {
        let mut request = Request::new("").variables(self.variables.clone());
        request.operation_name = self.key.operation().map(str::to_owned);
        request.set_parsed_query(self.document.clone());
        request
    }

    /// The operation's name in logs and metrics: the operator's in the trusted documents, or else the
    /// schema's name of the first field. Clients cannot choose it.
    pub(super) fn name(&self) -> &str {
        let trusted = self.requester.engine.persisted.name_of(self.key.text());
        trusted.or_else(|| self.prepared.first_field()).unwrap_or_default()
    }
}

impl AdmittedOperation {
    pub fn ty(&self) -> OperationType {
        self.operation.ty()
    }

    /// A context for the resolvers that reads from `snapshot`.
    pub(super) async fn context(&self, snapshot: Snapshot) -> Arc<RequestContext> {
        let Requester { viewer, client, engine, .. } = &self.operation.requester;
        let memory = engine.response_memory.start(client.network);
        let context = RequestContext::new(snapshot, viewer.clone(), client.clone(), memory);
        Arc::new(context.await.with_cost(self.cost))
    }
}
