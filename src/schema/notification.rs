//! GraphQL types of notifications, which only their recipient can read.
//!
//! The list itself is `Viewer.notifications` (viewer.rs). Its connection has a type of its own
//! without `totalCount`: clients show the number of unread notifications.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use entity::notification;

use super::connection::{PageArgs, PageInfo};
use super::eager::Eager;
use super::error::{UserErrorInterface, user_errors};
use super::post::Post;
use super::scalar::DateTime;
use super::stream_event::stream_cursor;
use super::text::ShortText;
use super::user::User;
use super::viewer::Viewer;
use super::{Outcome, loaders, run_mutation, services, viewer};
use crate::error::Error;
use crate::ids::GlobalId;
use crate::pagination::{CursorKind, CursorList, Page, encode_cursor};
use crate::{auth, domain};

/// What a notification reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::notification::Kind")]
pub enum NotificationType {
    /// The actor follows the viewer.
    Follow,
    /// The actor asks to follow the viewer.
    FollowRequest,
    /// The actor has accepted the viewer's request to follow.
    RequestAccepted,
    /// The actor likes a post of the viewer.
    Like,
    /// The actor replied to a post of the viewer.
    Reply,
    /// The actor reposted a post of the viewer.
    Repost,
    /// The actor mentions the viewer in a post.
    Mention,
}

#[derive(Clone)]
pub struct Notification(pub notification::Model);

/// What another user did that concerns the viewer.
#[Object]
impl Notification {
    /// Opaque, globally unique id. Only the recipient can fetch the object.
    pub async fn id(&self) -> ID {
        GlobalId::Notification(self.0.id).encode().into()
    }

    /// What the actor did.
    #[graphql(name = "type")]
    async fn kind(&self) -> NotificationType {
        self.0.kind.into()
    }

    /// When the actor did it.
    async fn created_at(&self) -> DateTime {
        DateTime::from_id(self.0.id)
    }

    /// The user who did it.
    async fn actor(&self, ctx: &Context<'_>) -> Result<Eager<User>, Error> {
        User::load(ctx, self.0.actor_id).await.map(Eager)
    }

    /// The liked or reposted post of the viewer, the reply, or the mentioning post.
    ///
    /// Null for the types `FOLLOW`, `FOLLOW_REQUEST` and `REQUEST_ACCEPTED`.
    async fn post(&self, ctx: &Context<'_>) -> Result<Option<Eager<Post>>, Error> {
        let Some(post) = self.0.post_id else { return Ok(None) };
        Ok(loaders(ctx).posts.load(post).await?.map(Post::from).map(Eager))
    }

    /// Whether the viewer has marked it or a newer one as read.
    async fn is_read(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        let recipient = loaders(ctx).users.load(self.0.user_id).await?.ok_or(Error::Deleted)?;
        Ok(self.0.id <= recipient.notifications_read_id)
    }
}

/// An entry of the viewer's notifications.
#[derive(SimpleObject)]
pub struct NotificationEdge {
    /// The cursor of this entry.
    cursor: String,
    /// The notification.
    node: Eager<Notification>,
}

pub struct NotificationConnection {
    page: Page<notification::Model>,
    cursors: CursorList,
}

impl NotificationConnection {
    /// A page of the viewer's notifications of the given types, or of all types.
    ///
    /// # Errors
    /// Those of [`PageArgs::parse`] and of [`domain::notification::page`].
    pub async fn load(
        ctx: &Context<'_>,
        viewer: &auth::Viewer,
        page: PageArgs,
        types: Option<Vec<NotificationType>>,
    ) -> Result<Self, Error> {
        let kinds: Option<Vec<notification::Kind>> =
            types.map(|types| types.into_iter().map(Into::into).collect());
        let mut cursors = CursorList::from(CursorKind::Notifications);
        if let Some(kinds) = &kinds {
            // The list is the same in any order of the types.
            let mut kinds = kinds.clone();
            kinds.sort_unstable();
            kinds.dedup();
            let arguments = format!("{kinds:?}");
            cursors = CursorList::with_arguments(CursorKind::Notifications, &arguments);
        }
        let request = page.parse(cursors)?;
        let snapshot = &loaders(ctx).snapshot;
        let page = domain::notification::page(snapshot, viewer, kinds.as_deref(), &request).await?;
        Ok(Self { page, cursors })
    }

    fn cursor(&self, row: &notification::Model) -> String {
        encode_cursor(self.cursors, &row.id)
    }
}

/// One page of the viewer's notifications.
///
/// A page has fewer entries than requested only if the list, or the range between the cursors, has
/// no more entries.
#[Object]
impl NotificationConnection {
    /// The entries of this page, each with its cursor.
    async fn edges(&self) -> Vec<Eager<NotificationEdge>> {
        let edge = |row: &notification::Model| {
            let node = Eager(Notification(row.clone()));
            Eager(NotificationEdge { cursor: self.cursor(row), node })
        };
        self.page.rows.iter().map(edge).collect()
    }

    /// The nodes of `edges`, in the same order.
    async fn nodes(&self) -> Vec<Eager<Notification>> {
        self.page.rows.iter().map(|row| Eager(Notification(row.clone()))).collect()
    }

    /// The position of this page in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.page, |row| self.cursor(row))
    }

    /// The position in the event stream at which this page was read.
    ///
    /// `notificationEvents(after:)` resumes there without a gap.
    async fn stream_cursor(&self, ctx: &Context<'_>) -> Result<ShortText<'_>, Error> {
        Ok(stream_cursor(&loaders(ctx).snapshot.stream_position().await?).into())
    }
}

pub struct MarkNotificationsReadPayload(Outcome<bool>);

/// Payload of `markNotificationsRead`.
#[Object]
impl MarkNotificationsReadPayload {
    /// True if further notifications are read now. False if not, and on failure.
    async fn changed(&self) -> bool {
        self.0 == Ok(true)
    }

    /// The viewer, for the new number of unread notifications. Null on failure.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        self.0.as_ref().ok().and_then(|_| Viewer::from_context(ctx))
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Marks notifications of the viewer as read: one and all older ones, or all.
    ///
    /// A notification never becomes unread again.
    ///
    /// A notification of a write that was in progress when the client read the list can be some
    /// milliseconds older than the newest of the list. It then becomes read, too. A subscription to
    /// `notificationEvents` delivers it in any case.
    ///
    /// User errors: `NOT_FOUND` if the viewer has no such notification, also if it was withdrawn.
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn mark_notifications_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the newest notification to mark. Default: the newest of all.")]
        up_to: Option<ID>,
    ) -> Result<MarkNotificationsReadPayload, Error> {
        let viewer = viewer(ctx)?;
        let up_to = up_to.map(|id| GlobalId::notification(&id)).transpose()?;
        let write = || domain::notification::mark_read(services(ctx), &viewer, up_to);
        Ok(MarkNotificationsReadPayload(run_mutation(ctx, write).await?))
    }
}
