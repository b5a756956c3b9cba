//! The schema as a subgraph of Apollo Federation 2.
//!
//! Other subgraphs may add fields to `User` and `Post`, whose key is `id`. The router resolves
//! these entities here through `_entities`, and reads the subgraph's schema through `_service`.
//!
//! async-graphql's own `_entities` is not used: it has no cost and no maximum, and one missing
//! entity makes the whole field fail.

use std::sync::LazyLock;

use async_graphql::{Any, Context, MergedObject, Object, SimpleObject, Union, Value};
use futures_util::future::try_join_all;

use super::connection::multiply_cost;
use super::node::{Node, NodeQuery};
use super::post::{Post, PostQuery};
use super::rate_limit::RateLimitQuery;
use super::relationship::RelationshipQuery;
use super::user::{User, UserQuery};
use super::viewer::ViewerQuery;
use super::{node, sdl_of};
use crate::error::Error;
use crate::ids::GlobalId;

/// Maximum number of `representations` in one `_entities` field.
const MAX_REPRESENTATIONS: i32 = 1_000;

/// Declares the version of the federation specification.
const LINK: &str = r#"extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])

"#;

/// Type headers of the exported schema, and the same with federation directives.
///
/// `PageInfo` is shareable because every subgraph with Relay connections defines it.
const DIRECTIVES: [(&str, &str); 3] = [
    ("type User implements Node {", "type User implements Node @key(fields: \"id\") {"),
    ("type Post implements Node {", "type Post implements Node @key(fields: \"id\") {"),
    ("type PageInfo {", "type PageInfo @shareable {"),
];

// Has no `node` and `nodes`: several subgraphs may define them, and each resolves only its own ids.
/// Read operations that the router offers to its clients.
#[derive(Default, MergedObject)]
#[graphql(name = "Query")]
struct Composed(ViewerQuery, UserQuery, RelationshipQuery, PostQuery, RateLimitQuery);

static SUBGRAPH_SDL: LazyLock<String> = LazyLock::new(|| {
    let sdl = LINK.to_owned() + &sdl_of::<Composed>();
    DIRECTIVES.iter().fold(sdl, |sdl, (plain, annotated)| sdl.replace(plain, annotated))
});

/// The subgraph's schema, for composition by the router.
pub fn subgraph_sdl() -> &'static str {
    &SUBGRAPH_SDL
}

/// Read operations for clients and for the federation router.
#[derive(Default, MergedObject)]
#[graphql(name = "Query")]
pub struct SubgraphQuery(
    NodeQuery,
    ViewerQuery,
    UserQuery,
    RelationshipQuery,
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

/// A description of this subgraph for the router.
#[derive(SimpleObject)]
#[graphql(name = "_Service")]
pub struct Service {
    /// The schema of the subgraph in SDL, with federation directives.
    sdl: &'static str,
}

#[derive(Default)]
pub struct FederationQuery;

#[Object]
impl FederationQuery {
    /// The description of this subgraph.
    #[graphql(name = "_service")]
    async fn service(&self) -> Service {
        Service { sdl: subgraph_sdl() }
    }

    /// The entities with the given keys, in the same order.
    ///
    /// Null for an entity that does not exist.
    ///
    /// Errors: `INVALID_ID` for an entity without a valid `__typename` and `id`,
    /// `ARGUMENT_OUT_OF_RANGE` for more than 1000 keys.
    #[graphql(
        name = "_entities",
        complexity = "multiply_cost(representations.len(), child_complexity)"
    )]
    async fn entities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Keys: objects with `__typename` and `id`. At most 1000.")]
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

fn key(representation: &Value) -> Result<GlobalId, Error> {
    let Value::Object(fields) = representation else { return Err(Error::InvalidId) };
    let text = |name| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(Error::InvalidId),
    };
    match (text("__typename")?, GlobalId::decode(text("id")?)?) {
        ("User", id @ GlobalId::User(_)) | ("Post", id @ GlobalId::Post(_)) => Ok(id),
        _ => Err(Error::InvalidId),
    }
}

async fn entity(ctx: &Context<'_>, id: GlobalId) -> Result<Option<Entity>, Error> {
    Ok(match node::load(ctx, id).await? {
        Some(Node::User(user)) => Some(Entity::User(user)),
        Some(Node::Post(post)) => Some(Entity::Post(post)),
        _ => None,
    })
}
