//! GraphQL type of the viewer: the private data of the signed-in user.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::account::Session;
use super::block::BlockedUserEdge;
use super::bookmark::BookmarkEdge;
use super::connection::{
    Connection, PageArgs, cost, cost_of_posts, multiply_cost, no_page, with_count,
};
use super::follow_request::FollowRequestEdge;
use super::like::LikedPostEdge;
use super::mute::MutedUserEdge;
use super::notification::{NotificationConnection, NotificationType};
use super::suggestion::Suggestion;
use super::text::ShortText;
use super::timeline_marker::marker_cursor;
use super::user::User;
use super::{loaders, request};
use crate::domain::follow_request::Side;
use crate::error::Error;
use crate::loaders::PageKey;
use crate::pagination::CursorKind;
use crate::{auth, domain};

pub struct Viewer(pub Arc<auth::Viewer>);

impl Viewer {
    /// The viewer at this point of the request, which mutations can change.
    pub fn from_context(ctx: &Context<'_>) -> Option<Self> {
        request(ctx).viewer().map(Self)
    }
}

/// The signed-in user's private data.
#[Object]
impl Viewer {
    /// The viewer's public profile.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, Error> {
        User::after(ctx, self.0.id()).await?.ok_or_else(Error::account_changed)
    }

    /// The e-mail address, lower-cased and with its domain in ASCII.
    ///
    /// Only the viewer can read it.
    async fn email(&self, ctx: &Context<'_>) -> Result<ShortText<'_>, Error> {
        Ok(self.user(ctx).await?.full_row(ctx).await?.email.clone().into())
    }

    /// Whether the account has a password.
    ///
    /// An imported account has none, and neither has one whose user signs in elsewhere.
    /// `changePassword` sets the first one without `currentPassword`, and `deleteAccount` then
    /// needs no `password`.
    async fn has_password(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        Ok(self.user(ctx).await?.full_row(ctx).await?.password_hash.is_some())
    }

    /// Whether the viewer has proved to receive mails at `email`, by `verifyEmail`.
    ///
    /// A new address is not verified. Only the viewer can read it.
    async fn email_verified(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        Ok(self.user(ctx).await?.full_row(ctx).await?.email_verified)
    }

    /// The open sessions, newest first.
    ///
    /// There are at most 100. A further login ends the oldest session.
    #[graphql(complexity = "multiply_cost(100, child_complexity)")]
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>, Error> {
        let sessions = domain::account::sessions(&loaders(ctx).snapshot, &self.0).await?;
        Ok(sessions.into_iter().map(Session).collect())
    }

    /// The viewer's bookmarks, newest bookmark first. Only the viewer can read them.
    ///
    /// Bookmarks of posts that the viewer may not see any more are left out.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost_of_posts(first, last, child_complexity))")]
    async fn bookmarks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<BookmarkEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::Bookmarks)?;
        let page = domain::bookmark::page(&loaders(ctx).snapshot, &self.0, &page).await?;
        Ok(Connection { order: CursorKind::Bookmarks.into(), page: page.into(), count_source: () })
    }

    /// The posts that the viewer likes, newest like first.
    ///
    /// Only the viewer can read this list. Posts that the viewer may not see any more are left out.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost_of_posts(first, last, child_complexity))")]
    async fn likes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<LikedPostEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::Likes)?;
        let page = domain::like::page(&loaders(ctx).snapshot, &self.0, &page).await?;
        Ok(Connection { order: CursorKind::Likes.into(), page: page.into(), count_source: () })
    }

    /// What other users did that concerns the viewer, newest first.
    ///
    /// Only the viewer can read it. Notifications of posts that the viewer may not see any more are
    /// left out, as are those whose cause was undone. The operator may delete old ones, by default
    /// after 90 days.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`, `ARGUMENT_OUT_OF_RANGE`.
    #[graphql(complexity = "cost_of_posts(first, last, child_complexity)")]
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only notifications of these types, 1 to 7. Default: all types.")]
        types: Option<Vec<NotificationType>>,
    ) -> Result<NotificationConnection, Error> {
        let page = PageArgs { first, after, last, before };
        NotificationConnection::load(ctx, &self.0, page, types).await
    }

    /// Number of `notifications` that the viewer has not read. Counting stops at `cap`.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    async fn unread_notifications_count(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100, desc = "Maximum of the count: 1 to 1000.")] cap: i32,
    ) -> Result<i32, Error> {
        domain::notification::count_unread(&loaders(ctx).snapshot, &self.0, cap).await
    }

    /// The users whom the viewer blocks, newest block first.
    ///
    /// Only the viewer can read them.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn blocked_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<BlockedUserEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::BlockedUsers)?;
        let key = PageKey { owner: self.0.id(), page };
        let page = loaders(ctx).blocked.load(key).await?.ok_or_else(no_page)?;
        Ok(Connection { order: CursorKind::BlockedUsers.into(), page, count_source: () })
    }

    /// The users whom the viewer mutes, newest mute first.
    ///
    /// Only the viewer can read them.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn muted_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<MutedUserEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::MutedUsers)?;
        let key = PageKey { owner: self.0.id(), page };
        let page = loaders(ctx).muted.load(key).await?.ok_or_else(no_page)?;
        Ok(Connection { order: CursorKind::MutedUsers.into(), page, count_source: () })
    }

    /// The requests to follow the viewer, newest request first.
    ///
    /// Only the viewer can read them.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn follow_requests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<FollowRequestEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::FollowRequests)?;
        let key = PageKey { owner: self.0.id(), page };
        let page = loaders(ctx).follow_requests.load(key).await?.ok_or_else(no_page)?;
        Ok(Connection {
            order: CursorKind::FollowRequests.into(),
            page,
            count_source: Side::Received,
        })
    }

    /// The viewer's requests to follow others, newest request first.
    ///
    /// Only the viewer can read them.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost(first, last, child_complexity))")]
    async fn sent_follow_requests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<FollowRequestEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::SentFollowRequests)?;
        let key = PageKey { owner: self.0.id(), page };
        let page = loaders(ctx).sent_follow_requests.load(key).await?.ok_or_else(no_page)?;
        Ok(Connection {
            order: CursorKind::SentFollowRequests.into(),
            page,
            count_source: Side::Sent,
        })
    }

    /// Users whom the viewer may want to follow, the best first.
    ///
    /// Users whom many of the viewer's followed users follow come first, then followers of the
    /// viewer, then popular users. The list never has users whom the viewer follows, has asked to
    /// follow, blocks, mutes or has dismissed, or who block the viewer. Only the newest 100 follows
    /// of the viewer's 100 newest follows, the newest 100 followers, and the newest 2000 follows of
    /// all users are considered.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    #[graphql(
        complexity = "250 + multiply_cost(usize::try_from(first).unwrap_or(50).min(50), child_complexity)"
    )]
    async fn suggestions(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20, desc = "Maximum number of suggestions: 1 to 50.")] first: i32,
    ) -> Result<Vec<Suggestion>, Error> {
        let found = domain::suggestion::list(&loaders(ctx).snapshot, &self.0, first).await?;
        Ok(found.into_iter().map(Suggestion).collect())
    }

    /// The cursor up to which the viewer has read their timeline.
    ///
    /// It is a cursor of `timeline` without a filter. Null until `markTimelineRead` has set it. The
    /// entry at this position may have been deleted. Only the viewer can read it.
    async fn timeline_marker(&self, ctx: &Context<'_>) -> Result<Option<ShortText<'_>>, Error> {
        let marker = self.user(ctx).await?.full_row(ctx).await?.timeline_marker;
        Ok(marker.map(|marker| marker_cursor(marker).into()))
    }
}

#[derive(Default)]
pub struct ViewerQuery;

#[Object]
impl ViewerQuery {
    /// The signed-in user. Null without a token. A wrong or expired token is an error.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        Viewer::from_context(ctx)
    }
}
