//! The schema as a subgraph of Apollo Federation 2: other subgraphs may add fields to users and posts, which
//! the router then asks for here by their ids.

use std::sync::LazyLock;

use async_graphql::{Any, Context, MergedObject, Object, SimpleObject, Union, Value};
use futures_util::future::try_join_all;

use super::account::AccountQuery;
use super::connection::times;
use super::node::{self, Node, NodeQuery};
use super::post::{Post, PostQuery};
use super::rate_limit::RateLimitQuery;
use super::sdl_of;
use super::user::{User, UserQuery};
use crate::error::Error;
use crate::id::Id;

const MAX_REPRESENTATIONS: i32 = 1_000;

const LINK: &str = r#"extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])

"#;

/// What the router is to know of some types. Every graph with Relay's pages has a `PageInfo`.
const KNOWN: [(&str, &str); 3] = [
    ("type User implements Node {", "type User implements Node @key(fields: \"id\") {"),
    ("type Post implements Node {", "type Post implements Node @key(fields: \"id\") {"),
    ("type PageInfo {", "type PageInfo @shareable {"),
];

/// What the router gives its clients. Every graph of Relay's has a `node`, which knows its own ids alone: of those of several
/// graphs there cannot be one.
#[derive(Default, MergedObject)]
#[graphql(name = "Query")]
struct Composed(AccountQuery, UserQuery, PostQuery, RateLimitQuery);

/// The subgraph's schema as the router composes it.
static SUBGRAPH: LazyLock<String> = LazyLock::new(|| {
    let sdl = LINK.to_owned() + &sdl_of::<Composed>();
    KNOWN.iter().fold(sdl, |sdl, (plain, known)| sdl.replace(plain, known))
});

pub fn subgraph() -> &'static str {
    &SUBGRAPH
}

/// Everything that can be read, by clients and by the router.
#[derive(Default, MergedObject)]
#[graphql(name = "Query")]
pub struct SubgraphQuery(
    NodeQuery,
    AccountQuery,
    UserQuery,
    PostQuery,
    RateLimitQuery,
    FederationQuery,
);

/// An object to which other subgraphs may add fields.
#[derive(Union)]
#[graphql(name = "_Entity")]
pub enum Entity {
    User(User),
    Post(Post),
}

/// This subgraph.
#[derive(SimpleObject)]
#[graphql(name = "_Service")]
pub struct Service {
    /// Its schema, with its keys.
    sdl: &'static str,
}

#[derive(Default)]
pub struct FederationQuery;

#[Object]
impl FederationQuery {
    /// The subgraph, for composition.
    #[graphql(name = "_service")]
    async fn service(&self) -> Service {
        Service { sdl: subgraph() }
    }

    /// The entities with these keys: same length and order, null where nothing is found.
    ///
    /// Errors: `INVALID_ID` in place of an entity whose key is not a `__typename` with an `id`;
    /// `ARGUMENT_OUT_OF_RANGE` for more than 1000.
    #[graphql(name = "_entities", complexity = "times(representations.len(), child_complexity)")]
    async fn entities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The keys, such as `{__typename: \"User\", id: \"…\"}`: at most 1000.")]
        representations: Vec<Any>,
    ) -> Result<Vec<Option<Result<Entity, Error>>>, Error> {
        if representations.len() > MAX_REPRESENTATIONS.unsigned_abs() as usize {
            let (argument, min, max) = ("representations", 0, MAX_REPRESENTATIONS);
            return Err(Error::OutOfRange { argument, min, max });
        }
        let load = async |representation| match key(representation) {
            Ok(id) => Ok(entity(ctx, id).await?.map(Ok)),
            Err(error) => Ok(Some(Err(error))),
        };
        try_join_all(representations.iter().map(|Any(representation)| load(representation))).await
    }
}

fn key(representation: &Value) -> Result<Id, Error> {
    let Value::Object(fields) = representation else { return Err(Error::InvalidId) };
    let text = |name| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(Error::InvalidId),
    };
    match (text("__typename")?, Id::decode(text("id")?)?) {
        ("User", id @ Id::User(_)) | ("Post", id @ Id::Post(_)) => Ok(id),
        _ => Err(Error::InvalidId),
    }
}

async fn entity(ctx: &Context<'_>, id: Id) -> Result<Option<Entity>, Error> {
    Ok(match node::load(ctx, id).await? {
        Some(Node::User(user)) => Some(Entity::User(user)),
        Some(Node::Post(post)) => Some(Entity::Post(post)),
        _ => None,
    })
}
