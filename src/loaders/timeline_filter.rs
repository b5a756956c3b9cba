//! What a timeline shows, as conditions of SQL on its sources and on feed items.
//!
//! The sources are the owner and the users whom the owner follows and does not mute. An item of a
//! source is shown unless it is a repost of a post that the timeline shows anyway, or whose author
//! the owner mutes, or blocks, or is blocked by, or who is protected. A client can leave out more.

use entity::feed_item::Kind;
use entity::user::visible_to_sql;
use sea_orm::{ActiveEnum as _, Value};

use crate::clock;

/// The replies that a timeline shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ShownReplies {
    #[default]
    All,
    /// Replies to posts of the owner, and of users whom the owner follows.
    ToFollowed,
    None,
}

/// What a client leaves out of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimelineFilter {
    /// Whether the owner is a source.
    pub include_own: bool,
    pub replies: ShownReplies,
    pub include_reposts: bool,
}

impl Default for TimelineFilter {
    fn default() -> Self {
        Self { include_own: true, replies: ShownReplies::All, include_reposts: true }
    }
}

/// The items that a timeline shows to a viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ItemFilter {
    /// What the client leaves out.
    pub requested: TimelineFilter,
    /// Whether the owner mutes users, who are left out.
    pub without_muted: bool,
    /// Leaves out the timelines and sources that this viewer may not see.
    ///
    /// 0 for an anonymous client. `None` if the viewer is the owner, who may see all of them.
    pub viewer: Option<i64>,
}

impl ItemFilter {
    /// The values of its parameters: the current time and the viewer, if it needs them.
    pub fn values(self) -> Vec<Value> {
        let now = self.without_muted.then(|| clock::now().into());
        now.into_iter().chain(self.viewer.map(Value::from)).collect()
    }

    /// Number of look-ups for a source: an item, a mute, and the source itself.
    pub fn lookups(self) -> usize {
        1 + usize::from(self.without_muted) + usize::from(self.viewer.is_some())
    }

    /// The sources of the timeline of `owner`, as a table `source`.
    ///
    /// Its column is `actor`. `first` is the first parameter of the filter.
    pub fn sources_sql(self, owner: &str, first: u8) -> String {
        let own = format!("SELECT {owner} AS actor UNION ALL");
        let own = if self.requested.include_own { &*own } else { "" };
        let is_source = self.source_sql(owner, "followed_id", first);
        format!(
            "({own} SELECT followed_id AS actor FROM follow \
             WHERE follower_id = {owner} {is_source}) AS source"
        )
    }

    /// The condition on a user `actor` whom `owner` follows.
    ///
    /// It begins with AND, or is empty.
    pub fn source_sql(self, owner: &str, actor: &str, first: u8) -> String {
        format!("{} {}", self.not_muted_sql(owner, actor, first), self.visible_sql(actor, first))
    }

    /// The condition that the viewer may see `user`. It begins with AND, or is empty.
    pub fn visible_sql(self, user: &str, first: u8) -> String {
        let viewer = format!("${}", first + u8::from(self.without_muted));
        self.viewer.map_or(String::new(), |_| format!("AND {}", visible_to_sql(user, &viewer)))
    }

    /// The condition that `owner` does not mute `user`.
    ///
    /// It begins with AND, or is empty. It is a value and not EXISTS, which PostgreSQL would make a
    /// join of all sources and mutes.
    fn not_muted_sql(self, owner: &str, user: &str, first: u8) -> String {
        if !self.without_muted {
            return String::new();
        }
        format!(
            "AND (SELECT 1 FROM mute WHERE muter_id = {owner} AND muted_id = {user} \
             AND (expires_at IS NULL OR expires_at > ${first})) IS NULL"
        )
    }

    /// The condition on an `item` of a source. It begins with AND, or is empty.
    pub fn item_sql(self, owner: &str, first: u8) -> String {
        let (reply, repost) = (Kind::Reply.into_value(), Kind::Repost.into_value());
        let follows_subject = format!(
            "(SELECT 1 FROM follow AS original WHERE original.follower_id = {owner} \
             AND original.followed_id = item.subject_id)"
        );
        let replies = match self.requested.replies {
            ShownReplies::All => String::new(),
            ShownReplies::ToFollowed => format!(
                "AND (item.kind <> {reply} OR item.subject_id = {owner} \
                 OR {follows_subject} IS NOT NULL)"
            ),
            ShownReplies::None => format!("AND item.kind <> {reply}"),
        };
        if !self.requested.include_reposts {
            return format!("{replies} AND item.kind <> {repost}");
        }
        let is_not_muted = self.not_muted_sql(owner, "item.subject_id", first);
        format!(
            "{replies} AND (item.kind <> {repost} OR (item.subject_id <> {owner} \
             AND {follows_subject} IS NULL {is_not_muted} \
             AND (SELECT is_protected FROM \"user\" AS subject \
               WHERE subject.id = item.subject_id) = false \
             AND (SELECT 1 FROM block WHERE blocker_id = {owner} \
               AND blocked_id = item.subject_id) IS NULL \
             AND (SELECT 1 FROM block WHERE blocker_id = item.subject_id \
               AND blocked_id = {owner}) IS NULL))"
        )
    }
}
