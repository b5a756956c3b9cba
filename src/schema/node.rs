//! Global object identification: interface `Node`, queries `node` and `nodes`.
//!
//! Every object with an `id` can be fetched by it. Sessions, relationships and notifications are
//! visible to their viewer only. See <https://relay.dev/graphql/objectidentification.htm>.

use async_graphql::{Context, ID, Interface, Object};
use futures_util::future::try_join_all;

use super::account::Session;
use super::connection::{multiply_cost, to_graphql_int};
use super::notification::Notification;
use super::post::Post;
use super::relationship::Relationship;
use super::user::User;
use super::{loaders, request};
use crate::error::Error;
use crate::ids::GlobalId;

/// Maximum number of ids in one `nodes` field.
const MAX_NODES: i32 = 100;

/// An object that can be fetched by its id.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Opaque, globally unique id. `node` fetches the object by it."
))]
pub enum Node {
    User(User),
    Post(Post),
    Relationship(Relationship),
    Session(Box<Session>),
    Notification(Notification),
}

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The object with the given id.
    ///
    /// Null if it does not exist, or the viewer may not see it.
    ///
    /// Errors: `INVALID_ID`.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of an object of any type.")] id: ID,
    ) -> Result<Option<Node>, Error> {
        load(ctx, GlobalId::decode(&id)?).await
    }

    /// The objects with the given ids, in the same order.
    ///
    /// Null for an object that does not exist, or that the viewer may not see.
    ///
    /// Errors: `INVALID_ID`, `ARGUMENT_OUT_OF_RANGE`.
    #[graphql(complexity = "multiply_cost(ids.len(), child_complexity)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of objects of any type. At most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>, Error> {
        if to_graphql_int(ids.len() as u64) > MAX_NODES {
            return Err(Error::OutOfRange { argument: "ids", min: 0, max: MAX_NODES });
        }
        let ids = ids.iter().map(|id| GlobalId::decode(id)).collect::<Result<Vec<_>, _>>()?;
        try_join_all(ids.into_iter().map(|id| load(ctx, id))).await
    }
}

/// Loads an object if the viewer may see it.
pub async fn load(ctx: &Context<'_>, id: GlobalId) -> Result<Option<Node>, Error> {
    let loaders = loaders(ctx);
    Ok(match id {
        GlobalId::User(id) => {
            loaders.users.load(id).await?.map(|user| Node::User(User::from(user)))
        }
        GlobalId::Post(id) => {
            loaders.posts.load(id).await?.map(|post| Node::Post(Post::from(post)))
        }
        GlobalId::Relationship { viewer, user } => {
            let is_viewer = request(ctx).viewer().is_some_and(|current| current.id() == viewer);
            if !is_viewer || viewer == user || loaders.users.load(user).await?.is_none() {
                return Ok(None);
            }
            Some(Node::Relationship(Relationship::load(ctx, viewer, user).await?))
        }
        GlobalId::Session(id) => {
            let session = loaders.sessions.load(id).await?;
            session.map(|session| Node::Session(Box::new(Session(session))))
        }
        GlobalId::Notification(id) => {
            let notification = loaders.notifications.load(id).await?;
            notification.map(|row| Node::Notification(Notification(row)))
        }
    })
}
