//! Notifications: their causes and their ends, and what a user has read.

use serde_json::{Value, json};

use super::{Graph, name};

/// What a notification reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Follow,
    FollowRequest,
    RequestAccepted,
    Like,
    Reply,
    Repost,
    Mention,
}

impl Kind {
    /// The value of `NotificationType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Follow => "FOLLOW",
            Self::FollowRequest => "FOLLOW_REQUEST",
            Self::RequestAccepted => "REQUEST_ACCEPTED",
            Self::Like => "LIKE",
            Self::Reply => "REPLY",
            Self::Repost => "REPOST",
            Self::Mention => "MENTION",
        }
    }
}

/// What a notification is about. A user has at most one of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    pub kind: Kind,
    pub actor: usize,
    pub recipient: usize,
    pub post: Option<usize>,
}

impl Cause {
    pub fn of_users(kind: Kind, actor: usize, recipient: usize) -> Self {
        Self { kind, actor, recipient, post: None }
    }

    pub fn of_post(kind: Kind, actor: usize, recipient: usize, post: usize) -> Self {
        Self { kind, actor, recipient, post: Some(post) }
    }
}

/// Why a notification does not exist any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its cause was undone, which is an event.
    Withdrawn,
    /// Its post or one of its users was deleted, which is no event.
    Deleted,
}

/// A notification, which may have ended.
pub struct Notice {
    pub cause: Cause,
    pub end: Option<End>,
    /// Whether there was a time when the recipient could not see its post.
    pub was_hidden: bool,
}

/// Lists.
impl Graph {
    /// The notifications that a user can read, newest first.
    pub fn notices_of(&self, user: usize) -> Vec<usize> {
        let is_listed = |number: &usize| {
            let notice = &self.notices[*number];
            notice.cause.recipient == user && notice.end.is_none() && self.is_shown(notice.cause)
        };
        (0..self.notices.len()).rev().filter(is_listed).collect()
    }

    /// Whether the recipient of a notification may see its post, if it has one.
    fn is_shown(&self, cause: Cause) -> bool {
        cause.post.is_none_or(|post| self.may_see_post(Some(cause.recipient), post))
    }

    /// Whether a notification exists and its recipient may not see its post.
    fn is_hidden(&self, notice: &Notice) -> bool {
        notice.end.is_none() && !self.is_shown(notice.cause)
    }

    /// Whether a notification is not in the list, and no event informs of it.
    pub fn is_gone_without_event(&self, number: usize) -> bool {
        let notice = &self.notices[number];
        notice.end == Some(End::Deleted) || self.is_hidden(notice)
    }

    pub fn is_read(&self, number: usize) -> bool {
        let recipient = self.notices[number].cause.recipient;
        self.read_notices.get(&recipient).is_some_and(|newest| number <= *newest)
    }

    /// Number of unread notifications.
    pub fn unread_count(&self, user: usize) -> usize {
        self.notices_of(user).into_iter().filter(|number| !self.is_read(*number)).count()
    }

    /// A notification as the object of the API, without its id and time.
    pub fn notice_json(&self, number: usize) -> Value {
        let Cause { kind, actor, post, .. } = self.notices[number].cause;
        json!({
            "type": kind.name(),
            "isRead": self.is_read(number),
            "actor": { "username": name(actor) },
            "post": post.map(|post| json!({ "id": self.posts[post].id })),
        })
    }
}

/// Changes.
impl Graph {
    /// Adds a notification, unless a rule forbids it.
    pub(super) fn notify(&mut self, cause: Cause) {
        let Cause { kind, actor, recipient, post } = cause;
        // The author of the parent is notified of the reply, and not of a mention in it.
        let parent = post.and_then(|post| self.posts[post].parent);
        let is_reply = parent.is_some_and(|parent| self.posts[parent].author == recipient);
        let is_forbidden = recipient == actor
            || self.is_blocked(recipient, actor)
            || self.mutes.contains(recipient, actor)
            || !self.is_shown(cause)
            || kind == Kind::Mention && is_reply;
        let exists =
            self.notices.iter().any(|notice| notice.cause == cause && notice.end.is_none());
        if !is_forbidden && !exists {
            self.notices.push(Notice { cause, end: None, was_hidden: false });
        }
    }

    /// Ends the notification of a cause that was undone, if there is one.
    pub(super) fn withdraw(&mut self, cause: Cause) {
        self.end_notices(End::Withdrawn, |other| other == cause);
    }

    /// Ends all notifications that two users have of each other.
    pub(super) fn withdraw_between(&mut self, one: usize, other: usize) {
        self.end_notices(End::Withdrawn, |cause| {
            let users = (cause.actor, cause.recipient);
            users == (one, other) || users == (other, one)
        });
    }

    /// Ends the notifications whose causes fulfil a condition.
    pub(super) fn end_notices(&mut self, end: End, is_ended: impl Fn(Cause) -> bool) {
        for notice in &mut self.notices {
            if notice.end.is_none() && is_ended(notice.cause) {
                notice.end = Some(end);
            }
        }
    }

    /// Marks notifications of a user as read, up to and with one of them, or all.
    ///
    /// Hidden ones are marked, too. Returns whether a newer one is the last now.
    pub fn mark_notices_read(&mut self, user: usize, up_to: Option<usize>) -> bool {
        let exists = |number: &usize| {
            let notice = &self.notices[*number];
            notice.cause.recipient == user && notice.end.is_none()
        };
        let newest = (0..self.notices.len()).rev().find(exists);
        let Some(last) = up_to.or(newest) else { return false };
        let changed = self.read_notices.get(&user).is_none_or(|read| *read < last);
        if changed {
            self.read_notices.insert(user, last);
        }
        changed
    }

    /// Records which notifications are hidden now.
    pub fn record_hidden_notices(&mut self) {
        let numbers = 0..self.notices.len();
        let hidden: Vec<usize> =
            numbers.filter(|number| self.is_hidden(&self.notices[*number])).collect();
        for number in hidden {
            self.notices[number].was_hidden = true;
        }
    }
}
