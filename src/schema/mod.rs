//! What clients can say, noun by noun. A resolver is one of three things: a stored value, one
//! `loader.load(key)`, or one `graph::noun::verb(..)`; so each line shows its cost.
//!
//! This file builds the schema and holds what every resolver reaches for: the [`Graph`], and the
//! [`Caller`] with the request's viewer and loaders.

mod account;
mod bookmark;
mod complete;
mod connection;
mod error;
mod federation;
mod follow;
mod live;
mod node;
mod post;
mod price;
mod profile;
mod prompt;
mod rate_limit;
mod scalar;
mod timeline;
mod user;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_graphql::{
    Context, MergedObject, ObjectType, Request, Response, SDLExportOptions, SchemaBuilder,
    ServerError, ValidationMode,
};
use entity::user::Model as UserRow;
use futures_util::stream::{BoxStream, StreamExt as _};

use crate::auth::{Client, Viewer};
use crate::budget::{Budget, Share, Spent};
use crate::database::Snapshot;
use crate::error::{Error, UserError};
use crate::graph::Graph;
use crate::live::Live;
use crate::loader::Loaders;
use crate::trace::Began;

pub use crate::loader::take_turns;
pub use complete::{FieldTypes, Shape};
use error::user_code_of;
pub use error::{code, code_of};
use federation::SubgraphQuery;
pub use federation::subgraph;
use live::LiveSubscription as Subscription;
use price::{Price, Pricing};
pub use rate_limit::Allowance;

type Executable<Q> = async_graphql::Schema<Q, Mutation, Subscription>;

/// What documents run on.
#[derive(Clone)]
pub struct Schema {
    validating: Executor,
    /// For documents that are known to be valid, with variables of the right types.
    trusting: Executor,
    /// Answers nothing.
    pricing: Executor,
}

/// With what a router of subgraphs asks for, or without.
#[derive(Clone)]
enum Executor {
    Whole(Executable<Query>),
    Subgraph(Executable<SubgraphQuery>),
}

impl Schema {
    /// Runs a request. With `is_proven`, its document is not validated again.
    pub async fn execute(&self, request: Request, is_proven: bool) -> Response {
        match self.of(is_proven) {
            Executor::Whole(schema) => take_turns(schema.execute(request)).await,
            Executor::Subgraph(schema) => take_turns(schema.execute(request)).await,
        }
    }

    /// Runs a subscription: an answer for each event.
    pub fn stream(&self, request: Request, is_proven: bool) -> BoxStream<'static, Response> {
        match self.of(is_proven) {
            Executor::Whole(schema) => schema.execute_stream(request).boxed(),
            Executor::Subgraph(schema) => schema.execute_stream(request).boxed(),
        }
    }

    /// What a request costs; `None` when that cannot be told, because it is not valid.
    pub async fn price(&self, request: Request) -> Option<usize> {
        let price = Price::new(AtomicUsize::new(usize::MAX));
        let request = request.data(Price::clone(&price));
        match &self.pricing {
            Executor::Whole(schema) => schema.execute(request).await,
            Executor::Subgraph(schema) => schema.execute(request).await,
        };
        Some(price.load(Ordering::Relaxed)).filter(|price| *price < usize::MAX)
    }

    /// The type of each field.
    ///
    /// # Errors
    /// When it cannot be exported, which is a mistake of ours.
    pub fn types(&self) -> Result<FieldTypes, async_graphql::parser::Error> {
        let options = SDLExportOptions::new();
        FieldTypes::of(&match &self.validating {
            Executor::Whole(schema) => schema.sdl_with_options(options),
            Executor::Subgraph(schema) => schema.sdl_with_options(options),
        })
    }

    /// What is wrong with a document, if anything. Nothing of it runs.
    pub async fn validate(&self, document: &str) -> Option<ServerError> {
        // The library looks for the operation when the document has turned out to be valid.
        const NOT_THERE: &str = "";
        let request = Request::new(document).operation_name(NOT_THERE);
        let response = self.execute(request, false).await;
        response.errors.into_iter().find(|error| !error.message.starts_with("Unknown operation"))
    }

    fn of(&self, is_proven: bool) -> &Executor {
        if is_proven { &self.trusting } else { &self.validating }
    }
}

/// Everything that can be read.
#[derive(Default, MergedObject)]
pub struct Query(
    node::NodeQuery,
    account::AccountQuery,
    user::UserQuery,
    post::PostQuery,
    rate_limit::RateLimitQuery,
);

/// Everything that can be changed. What is already as asked stays so, and is a success with
/// `changed: false`. Expected failures come as `userErrors`; then every other field of the payload is null, and
/// `changed` false where there is one. After a mutation has answered, every read of the same session sees what
/// it did, and so does everybody's; where the operator reads from replicas, everybody's a moment later.
#[derive(Default, MergedObject)]
pub struct Mutation(
    account::AccountMutation,
    profile::ProfileMutation,
    follow::FollowMutation,
    post::PostMutation,
    bookmark::BookmarkMutation,
);

/// The schema over a graph and what happens in it. With `federation`, it is a subgraph.
pub fn build(graph: Graph, live: &Live, federation: bool) -> Schema {
    let graph = Arc::new(graph);
    let answering = |mode| {
        let (graph, live) = (Arc::clone(&graph), live.clone());
        if federation {
            Executor::Subgraph(base().data(graph).data(live).validation_mode(mode).finish())
        } else {
            Executor::Whole(base().data(graph).data(live).validation_mode(mode).finish())
        }
    };
    let pricing = if federation {
        Executor::Subgraph(base().extension(Pricing).validation_mode(ValidationMode::Fast).finish())
    } else {
        Executor::Whole(base().extension(Pricing).validation_mode(ValidationMode::Fast).finish())
    };
    let (validating, trusting) =
        (answering(ValidationMode::Strict), answering(ValidationMode::Fast));
    Schema { validating, trusting, pricing }
}

/// The schema in the Schema Definition Language, as checked in at `schema.graphql`.
pub fn sdl() -> String {
    sdl_of::<Query>()
}

fn sdl_of<Q: Default + ObjectType + 'static>() -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .use_space_ident()
        .prefer_single_line_descriptions();
    base::<Q>().finish().sdl_with_options(options)
}

fn base<Q: Default + ObjectType + 'static>() -> SchemaBuilder<Q, Mutation, Subscription> {
    Executable::build(Q::default(), Mutation::default(), Subscription)
        .register_output_type::<node::Node>()
        .register_output_type::<error::UserErrorInterface>()
        .register_output_type::<live::StreamEvent>()
}

/// One request: who asks, and what was read for them so far.
pub struct Caller {
    viewer: RwLock<Option<Arc<Viewer>>>,
    loaders: Loaders,
    client: Client,
    allowance: Option<Allowance>,
    text: Mutex<Spent>,
    /// Codes of what mutations told of as data.
    failures: Mutex<Vec<&'static str>>,
    has_written: AtomicBool,
    /// When there was an event to be told.
    woken: Mutex<Option<Began>>,
}

impl Caller {
    /// What the request sees is of one moment: that of `snapshot`.
    pub async fn new(
        snapshot: Snapshot,
        (viewer, client): (Option<Viewer>, Client),
        allowance: Option<Allowance>,
        budget: &Budget,
    ) -> Self {
        let loaders = Loaders::new(snapshot, viewer.as_ref().map(Viewer::user)).await;
        Self {
            viewer: RwLock::new(viewer.map(Arc::new)),
            loaders,
            text: budget.begin(client.network).into(),
            client,
            allowance,
            failures: Mutex::default(),
            has_written: AtomicBool::new(false),
            woken: Mutex::default(),
        }
    }

    /// Whoever is signed in at this point of the request.
    pub fn viewer(&self) -> Option<Arc<Viewer>> {
        self.viewer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a verb of this request is done, or may be.
    pub fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    pub async fn is_on_replica(&self) -> bool {
        self.loaders.snapshot.is_on_replica().await
    }

    /// Keeps no connection, and nothing that was read: between the events of a subscription, each of which is an answer.
    pub async fn rest(&self) {
        self.loaders.clear().await;
    }

    /// There is an event to be told. What it shows is read anew, but for a user whom it brings along.
    async fn wake(&self, with: Option<Arc<UserRow>>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Began::now());
        self.loaders.clear().await;
        if let Some(user) = with {
            self.loaders.users.prime(user.id, user).await;
        }
    }

    /// When that was, since this was last asked.
    pub fn woken(&self) -> Option<Began> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The codes of the expected failures so far.
    pub fn failures(&self) -> Vec<&'static str> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_failures(&self, errors: &[UserError]) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.extend(errors.iter().map(user_code_of));
    }

    /// What the answer takes that is made, of so many bytes, until it is sent.
    ///
    /// # Errors
    /// `UNAVAILABLE` when all answers have too much.
    pub fn share(&self, bytes: usize) -> Result<Option<Share>, Error> {
        self.spent().end(bytes)
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text that goes into the answer.
    ///
    /// # Errors
    /// There is no room for it: answers are kept in memory until they are sent.
    fn spend<'a>(&self, text: &'a str) -> Result<&'a str, Error> {
        self.spent().spend(text.len()).map(|()| text)
    }

    /// What follows in this request is seen by `viewer`.
    async fn set_viewer(&self, viewer: Option<Viewer>) {
        self.loaders.set_viewer(viewer.as_ref().map(Viewer::id)).await;
        *self.viewer.write().unwrap_or_else(PoisonError::into_inner) = viewer.map(Arc::new);
    }
}

fn graph<'a>(ctx: &Context<'a>) -> &'a Graph {
    ctx.data_unchecked::<Arc<Graph>>()
}

fn live<'a>(ctx: &Context<'a>) -> &'a Live {
    ctx.data_unchecked::<Live>()
}

fn caller<'a>(ctx: &Context<'a>) -> &'a Caller {
    ctx.data_unchecked::<Arc<Caller>>()
}

fn loaders<'a>(ctx: &Context<'a>) -> &'a Loaders {
    &caller(ctx).loaders
}

/// The viewer; without one, the field fails with `UNAUTHENTICATED`.
fn viewer(ctx: &Context<'_>) -> Result<Arc<Viewer>, Error> {
    caller(ctx).viewer().ok_or(Error::Unauthenticated(
        "Log in first, and send the token in the header 'Authorization: Bearer <token>'.",
    ))
}

/// What a mutation came to: its value, or what the person at the screen should mend.
type Outcome<T> = Result<T, Vec<UserError>>;

/// How often a verb is begun anew when the writes of others get in its way.
const MAX_TRIES: u32 = 10;
/// The longest pause before the second try; it doubles for each one after.
const PAUSE: Duration = Duration::from_millis(4);

/// Lets a verb of the graph write, and takes expected failures for data. While it works, and waits for its
/// turn to write, the request holds no connection for reading; what is read next is read anew.
async fn write<T, F>(ctx: &Context<'_>, verb: impl Fn() -> F) -> Result<Outcome<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loaders(ctx).clear().await;
    let mut result = verb().await;
    for tried in 1..MAX_TRIES {
        if !matches!(result, Err(Error::Conflict)) {
            break;
        }
        // At random, so that those who met do not meet again.
        let pause = PAUSE * 2u32.pow(tried.min(6) - 1);
        tokio::time::sleep(pause.mul_f32(rand::random())).await;
        result = verb().await;
    }
    if matches!(result, Ok(_) | Err(Error::OutcomeUnknown)) {
        caller(ctx).has_written.store(true, Ordering::Relaxed);
    }
    loaders(ctx).clear().await;
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Expected(errors)) => {
            caller(ctx).note_failures(&errors);
            Ok(Err(errors))
        }
        Err(error) => Err(error),
    }
}
