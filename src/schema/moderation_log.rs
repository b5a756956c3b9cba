//! GraphQL types of the moderation log, which only moderators can read.

use async_graphql::{Context, Enum, ID, Object};
use entity::moderation_log;

use super::connection::{Connection, Edge, PageArgs, cost, to_graphql_int, with_count};
use super::eager::Eager;
use super::post::Post;
use super::scalar::DateTime;
use super::text::{ShortText, Text};
use super::user::User;
use super::{loaders, moderator};
use crate::domain;
use crate::error::Error;
use crate::ids::GlobalId;
use crate::pagination::CursorKind;

/// What a moderator or the operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::moderation_log::Action")]
pub enum ModerationAction {
    /// The user was suspended, or the settings of the suspension were changed.
    SuspendUser,
    /// The suspension of the user was ended.
    UnsuspendUser,
    /// The post was deleted.
    RemovePost,
    /// The report was resolved.
    ResolveReport,
    /// The operator created the account.
    CreateUser,
    /// The operator set the password, which ended all sessions.
    SetPassword,
    /// The operator changed the username.
    RenameUser,
    /// The operator changed the role.
    ChangeRole,
    /// The operator ended all sessions.
    EndSessions,
    /// The operator deleted the account.
    DeleteUser,
}

#[derive(Clone)]
pub struct ModerationLogEntry(pub moderation_log::Model);

/// What a moderator or the operator did to an account or a post.
///
/// Entries never change.
#[Object]
impl ModerationLogEntry {
    /// Opaque, globally unique id. Only moderators can fetch the object.
    pub async fn id(&self) -> ID {
        GlobalId::ModerationLogEntry(self.0.id).encode().into()
    }

    /// What was done.
    async fn action(&self) -> ModerationAction {
        self.0.action.into()
    }

    /// When it was done.
    async fn created_at(&self) -> DateTime {
        DateTime::from_id(self.0.id)
    }

    /// The moderator.
    ///
    /// Null for a command of the operator, and if the account was deleted.
    async fn moderator(&self, ctx: &Context<'_>) -> Result<Option<Eager<User>>, Error> {
        user(ctx, self.0.actor_id).await
    }

    /// The user whom the action is about, or the author of the post.
    ///
    /// Null if the account was deleted.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<Eager<User>>, Error> {
        user(ctx, self.0.user_id).await
    }

    /// The id of the user whom the action is about. The account can have been deleted.
    async fn user_id(&self) -> Option<ID> {
        self.0.user_id.map(|id| GlobalId::User(id).encode().into())
    }

    /// The post that the action is about.
    ///
    /// Null if the action is about no post, and if the post was deleted or the viewer may not see
    /// it.
    async fn post(&self, ctx: &Context<'_>) -> Result<Option<Eager<Post>>, Error> {
        let Some(post) = self.0.post_id else { return Ok(None) };
        Ok(loaders(ctx).posts.load(post).await?.map(Post::from).map(Eager))
    }

    /// The id of the post that the action is about. The post can have been deleted.
    async fn post_id(&self) -> Option<ID> {
        self.0.post_id.map(|id| GlobalId::Post(id).encode().into())
    }

    /// Why it was done, 1 to 500 characters. Null if no reason was given.
    async fn reason(&self) -> Option<Text<'_>> {
        self.0.reason.as_deref().map(Text::from)
    }

    /// What the action has set: the new role or username. Null for other actions.
    async fn detail(&self) -> Option<ShortText<'_>> {
        self.0.detail.as_deref().map(ShortText::from)
    }

    /// When the suspension ends. Null if the action has set no end.
    async fn suspended_until(&self) -> Option<DateTime> {
        self.0.suspended_until.map(DateTime)
    }
}

/// The user of a column that is no foreign key.
async fn user(ctx: &Context<'_>, id: Option<i64>) -> Result<Option<Eager<User>>, Error> {
    let Some(id) = id else { return Ok(None) };
    Ok(loaders(ctx).users.load(id).await?.map(User::from).map(Eager))
}

pub struct ModerationLogEdge {
    cursor: String,
    row: moderation_log::Model,
}

/// An entry of the moderation log.
#[Object]
impl ModerationLogEdge {
    /// The cursor of this entry.
    async fn cursor(&self) -> ShortText<'_> {
        self.cursor.as_str().into()
    }

    /// What was done.
    async fn node(&self) -> ModerationLogEntry {
        ModerationLogEntry(self.row.clone())
    }
}

impl Edge for ModerationLogEdge {
    const CONNECTION: &'static str = "ModerationLogConnection";
    type Row = moderation_log::Model;
    type Node = ModerationLogEntry;
    type Key = i64;
    type CountSource = ();

    fn new(row: &moderation_log::Model, cursor: String) -> Self {
        Self { cursor, row: row.clone() }
    }

    fn key(row: &moderation_log::Model) -> i64 {
        row.id
    }

    async fn load(
        row: &moderation_log::Model,
        _: &Context<'_>,
    ) -> Result<ModerationLogEntry, Error> {
        Ok(ModerationLogEntry(row.clone()))
    }

    async fn count((): &(), ctx: &Context<'_>) -> Result<i32, Error> {
        let count = domain::moderation_log::count(&loaders(ctx).snapshot, &moderator(ctx)?).await;
        count.map(to_graphql_int)
    }
}

#[derive(Default)]
pub struct ModerationLogQuery;

#[Object]
impl ModerationLogQuery {
    /// What moderators and the operator did, newest first. For moderators only.
    ///
    /// Entries can neither be changed nor deleted.
    ///
    /// Errors: `UNAUTHENTICATED`, `FORBIDDEN`, `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn moderation_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<ModerationLogEdge>, Error> {
        let moderator = moderator(ctx)?;
        let page = PageArgs { first, after, last, before }.parse(CursorKind::ModerationLog)?;
        let snapshot = &loaders(ctx).snapshot;
        let page = domain::moderation_log::page(snapshot, &moderator, &page).await?.into();
        Ok(Connection { order: CursorKind::ModerationLog.into(), page, count_source: () })
    }
}
