//! GraphQL types of reports, which their reporters and moderators can read.
//!
//! The reports of the viewer are `Viewer.reports` (viewer.rs).

use async_graphql::{Context, Enum, ID, Object};
use entity::report;

use super::connection::{Connection, Edge, ListOrder, PageArgs, cost, to_graphql_int, with_count};
use super::eager::Eager;
use super::error::{UserErrorInterface, user_errors};
use super::post::Post;
use super::scalar::DateTime;
use super::text::{ShortText, Text};
use super::user::User;
use super::{Outcome, loaders, moderator, run_mutation, services, viewer};
use crate::domain;
use crate::domain::report::{ReportChange, Target};
use crate::error::Error;
use crate::ids::GlobalId;
use crate::pagination::{CursorKind, CursorList};

/// What is wrong with an account or a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::report::Reason")]
pub enum ReportReason {
    /// Unwanted advertising, or the same text many times.
    Spam,
    /// Insults, threats or harassment.
    Abuse,
    /// Content that the law forbids.
    Illegal,
    /// The account pretends to be another person or organisation.
    Impersonation,
    /// Anything else, which the comment explains.
    Other,
}

/// Whether a report waits for a moderator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::report::State")]
pub enum ReportState {
    /// No moderator has resolved the report.
    Open,
    /// A moderator has resolved it.
    Resolved,
}

#[derive(Clone)]
pub struct Report(pub report::Model);

/// A complaint about an account or a post.
///
/// The reported user does not learn of it.
#[Object]
impl Report {
    /// Opaque, globally unique id.
    ///
    /// Only the reporter and moderators can fetch the object.
    pub async fn id(&self) -> ID {
        GlobalId::Report(self.0.id).encode().into()
    }

    /// The reported user, or the author of the reported post.
    async fn user(&self, ctx: &Context<'_>) -> Result<Eager<User>, Error> {
        User::load(ctx, self.0.user_id).await.map(Eager)
    }

    /// The reported post.
    ///
    /// Null if the report is about the account, and if the post was deleted or the viewer may not
    /// see it.
    async fn post(&self, ctx: &Context<'_>) -> Result<Option<Eager<Post>>, Error> {
        let Some(post) = self.0.post_id else { return Ok(None) };
        Ok(loaders(ctx).posts.load(post).await?.map(Post::from).map(Eager))
    }

    /// The id of the reported post, which can have been deleted.
    ///
    /// Null if the report is about the account.
    async fn post_id(&self) -> Option<ID> {
        self.0.post_id.map(|id| GlobalId::Post(id).encode().into())
    }

    /// The text of the post when it was reported.
    ///
    /// It stays when the author edits or deletes the post. Null if the report is about the account.
    ///
    /// Errors: `QUERY_TOO_COMPLEX` if the response exceeds its maximum of text.
    async fn post_body(&self) -> Option<Text<'_>> {
        self.0.body.as_deref().map(Text::from)
    }

    /// What is wrong.
    async fn reason(&self) -> ReportReason {
        self.0.reason.into()
    }

    /// What the reporter says about it, 1 to 500 characters. Null for nothing.
    async fn comment(&self) -> Option<Text<'_>> {
        self.0.comment.as_deref().map(Text::from)
    }

    /// Whether the report waits for a moderator.
    async fn state(&self) -> ReportState {
        self.0.state.into()
    }

    /// When the report was made.
    async fn created_at(&self) -> DateTime {
        DateTime::from_id(self.0.id)
    }

    /// When a moderator resolved the report. Null if it is open.
    async fn resolved_at(&self) -> Option<DateTime> {
        self.0.resolved_at.map(DateTime)
    }

    /// The user who made the report. For moderators only.
    ///
    /// Errors: `FORBIDDEN`.
    async fn reporter(&self, ctx: &Context<'_>) -> Result<Option<Eager<User>>, Error> {
        moderator(ctx)?;
        User::load(ctx, self.0.reporter_id).await.map(Eager).map(Some)
    }

    /// The moderator who resolved the report. For moderators only.
    ///
    /// Null if it is open, and if the account of the moderator was deleted.
    ///
    /// Errors: `FORBIDDEN`.
    async fn resolved_by(&self, ctx: &Context<'_>) -> Result<Option<Eager<User>>, Error> {
        moderator(ctx)?;
        let Some(resolver) = self.0.resolver_id else { return Ok(None) };
        Ok(loaders(ctx).users.load(resolver).await?.map(User::from).map(Eager))
    }

    /// Number of all reports of this user and the user's posts. For moderators only.
    ///
    /// Errors: `FORBIDDEN`.
    async fn user_reports_count(&self, ctx: &Context<'_>) -> Result<Option<i32>, Error> {
        moderator(ctx)?;
        Ok(Some(loaders(ctx).report_counts.load(self.0.user_id).await?.unwrap_or_default()))
    }
}

/// The reports of a connection, from which their number is computed.
pub enum ReportList {
    /// Those of the viewer.
    Own,
    /// Those of all users in a state, or in any.
    All(Option<report::State>),
}

pub struct ReportEdge {
    cursor: String,
    row: report::Model,
}

/// An entry of a list of reports.
#[Object]
impl ReportEdge {
    /// The cursor of this entry.
    async fn cursor(&self) -> ShortText<'_> {
        self.cursor.as_str().into()
    }

    /// The report.
    async fn node(&self) -> Report {
        Report(self.row.clone())
    }
}

impl Edge for ReportEdge {
    const CONNECTION: &'static str = "ReportConnection";
    type Row = report::Model;
    type Node = Report;
    type Key = i64;
    type CountSource = ReportList;

    fn new(row: &report::Model, cursor: String) -> Self {
        Self { cursor, row: row.clone() }
    }

    fn key(row: &report::Model) -> i64 {
        row.id
    }

    async fn load(row: &report::Model, _: &Context<'_>) -> Result<Report, Error> {
        Ok(Report(row.clone()))
    }

    async fn count(source: &ReportList, ctx: &Context<'_>) -> Result<i32, Error> {
        let snapshot = &loaders(ctx).snapshot;
        let count = match source {
            ReportList::Own => domain::report::count_own(snapshot, &*viewer(ctx)?).await,
            ReportList::All(state) => {
                domain::report::count(snapshot, &moderator(ctx)?, *state).await
            }
        };
        count.map(to_graphql_int)
    }
}

pub struct ReportPayload(Outcome<ReportChange>);

/// Payload of `report` and `resolveReport`.
#[Object]
impl ReportPayload {
    /// True if anything was changed.
    ///
    /// False if the viewer had an open report of the target, or the report was resolved, and on
    /// failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The report. Null on failure.
    async fn report(&self, ctx: &Context<'_>) -> Result<Option<Report>, Error> {
        let Ok(change) = &self.0 else { return Ok(None) };
        Ok(loaders(ctx).reports.load(change.report).await?.map(Report))
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct ReportQuery;

#[Object]
impl ReportQuery {
    /// The reports of all users, newest first. For moderators only.
    ///
    /// A cursor belongs to its state.
    ///
    /// Errors: `UNAUTHENTICATED`, `FORBIDDEN`, `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn reports(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only reports in this state. Default: in any.")] state: Option<
            ReportState,
        >,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<ReportEdge>, Error> {
        let (moderator, state) = (moderator(ctx)?, state.map(Into::into));
        let cursors = match state {
            None => CursorKind::Reports.into(),
            Some(state) => CursorList::with_arguments(CursorKind::Reports, &format!("{state:?}")),
        };
        let page = PageArgs { first, after, last, before }.parse(cursors)?;
        let page = domain::report::page(&loaders(ctx).snapshot, &moderator, state, &page).await?;
        let order = ListOrder { cursors, is_by_name: false };
        Ok(Connection { order, page: page.into(), count_source: ReportList::All(state) })
    }
}

#[derive(Default)]
pub struct ReportMutation;

#[Object]
impl ReportMutation {
    /// Reports an account or a post to the moderators.
    ///
    /// The reported user does not learn of it. A report of a post keeps its present text. A user
    /// has one open report of the same target.
    ///
    /// User errors: `NOT_FOUND`, also for a post that the viewer may not see; `SELF_TARGET`,
    /// `INVALID_INPUT`. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn report(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of a user or of a post.")] target: ID,
        #[graphql(desc = "What is wrong.")] reason: ReportReason,
        #[graphql(desc = "More about it, 1 to 500 characters. Default: nothing.")] comment: Option<
            String,
        >,
    ) -> Result<ReportPayload, Error> {
        let viewer = viewer(ctx)?;
        let target = match GlobalId::decode(&target)? {
            GlobalId::User(id) => Target::User(id),
            GlobalId::Post(id) => Target::Post(id),
            _ => return Err(Error::InvalidId),
        };
        let reason = reason.into();
        let write = || {
            let text = (reason, comment.clone());
            domain::report::report(services(ctx), &viewer, target, text)
        };
        Ok(ReportPayload(run_mutation(ctx, write).await?))
    }

    /// Resolves a report, whatever was decided. For moderators only.
    ///
    /// The reporter sees that it is resolved, and not by whom.
    ///
    /// User errors: `NOT_FOUND`, `INVALID_INPUT`. Errors: `UNAUTHENTICATED`, `FORBIDDEN`,
    /// `INVALID_ID`.
    async fn resolve_report(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the report.")] id: ID,
        #[graphql(desc = "What was decided, 1 to 500 characters, for the log. Default: nothing.")]
        note: Option<String>,
    ) -> Result<ReportPayload, Error> {
        let (moderator, id) = (moderator(ctx)?, GlobalId::report(&id)?);
        let write = || domain::report::resolve(services(ctx), &moderator, id, note.clone());
        Ok(ReportPayload(run_mutation(ctx, write).await?))
    }
}
