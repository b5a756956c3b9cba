//! Global object identification: every object with an id can be fetched again by it.

use async_graphql::{Context, ID, Interface, Object};
use futures_util::future::try_join_all;

use super::account::Session;
use super::connection::{int, times};
use super::follow::Relationship;
use super::post::Post;
use super::user::User;
use super::{caller, loaders};
use crate::error::Error;
use crate::id::Id;

const MAX_NODES: i32 = 100;

/// An object that can be fetched again by its id.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Opaque, globally unique; give it to `node` to fetch the object again."
))]
pub enum Node {
    User(User),
    Post(Post),
    Relationship(Relationship),
    Session(Box<Session>),
}

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The object behind an id; null when there is none, or none that the viewer may see.
    ///
    /// Errors: `INVALID_ID` for a text that is not an id.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of any object.")] id: ID,
    ) -> Result<Option<Node>, Error> {
        load(ctx, Id::decode(&id)?).await
    }

    /// The objects behind many ids: same length and order, null where nothing is found or visible.
    ///
    /// Errors: `INVALID_ID`; `ARGUMENT_OUT_OF_RANGE` for more than 100 ids.
    #[graphql(complexity = "times(ids.len(), child_complexity)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of any objects, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>, Error> {
        if int(ids.len() as u64) > MAX_NODES {
            return Err(Error::OutOfRange { argument: "ids", min: 0, max: MAX_NODES });
        }
        let ids = ids.iter().map(|id| Id::decode(id)).collect::<Result<Vec<_>, _>>()?;
        try_join_all(ids.into_iter().map(|id| load(ctx, id))).await
    }
}

pub async fn load(ctx: &Context<'_>, id: Id) -> Result<Option<Node>, Error> {
    let loaders = loaders(ctx);
    Ok(match id {
        Id::User(id) => loaders.users.load(id).await?.map(|user| Node::User(User::from(user))),
        Id::Post(id) => loaders.posts.load(id).await?.map(|post| Node::Post(Post::from(post))),
        Id::Relationship { viewer, user } => {
            let own = caller(ctx).viewer().is_some_and(|me| me.id() == viewer && viewer != user);
            if !own || loaders.users.load(user).await?.is_none() {
                return Ok(None);
            }
            Some(Node::Relationship(Relationship::load(ctx, viewer, user).await?))
        }
        Id::Session(id) => {
            let session = loaders.sessions.load(id).await?;
            session.map(|session| Node::Session(Box::new(Session(session))))
        }
    })
}
