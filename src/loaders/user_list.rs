//! Loader of lists of users, such as followers or likers, by page.
//!
//! Its statement joins the listed users' summaries, so that most queries need no further statement
//! for them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use entity::{feed_item, user};
use sea_orm::{FromQueryResult, QueryResult, Value};

use super::{Batch, OWNER_LOOKUPS, PageKey, ViewerId, pages};
use crate::clock;
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, OwnedRows, Page, USERS, page_sql};

/// A list of users that belongs to a user or to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserList {
    /// The users that follow the owner.
    Followers,
    /// The users that the owner follows.
    Following,
    /// The users whom the owner blocks.
    Blocked,
    /// The users whom the owner mutes, without mutes that have expired.
    Muted,
    /// The users who ask to follow the owner.
    FollowRequests,
    /// The users whom the owner has asked to follow.
    SentFollowRequests,
    /// The users who like the owner, a post that the viewer may see.
    Likers,
    /// The users who have reposted the post.
    Reposters,
}

/// The further condition of [`UserList::Reposters`].
static ARE_REPOSTS: LazyLock<String> = LazyLock::new(|| format!("AND {}", feed_item::IS_REPOST));

impl UserList {
    /// The rows of the list, and its column with the listed user.
    fn rows(self) -> (OwnedRows<'static>, &'static str) {
        let (table, owner, user) = match self {
            Self::Followers => ("follow", "followed_id", "follower_id"),
            Self::Following => ("follow", "follower_id", "followed_id"),
            Self::Blocked => ("block", "blocker_id", "blocked_id"),
            Self::Muted => ("mute", "muter_id", "muted_id"),
            Self::FollowRequests => ("follow_request", "target_id", "requester_id"),
            Self::SentFollowRequests => ("follow_request", "requester_id", "target_id"),
            Self::Likers => ("\"like\"", "post_id", "user_id"),
            Self::Reposters => ("feed_item", "post_id", "actor_id"),
        };
        let is_of_post = matches!(self, Self::Likers | Self::Reposters);
        let parent = if is_of_post { "post" } else { USERS };
        let is_active = "AND (expires_at IS NULL OR expires_at > $5)";
        let condition = match self {
            Self::Muted => is_active,
            Self::Reposters => ARE_REPOSTS.as_str(),
            _ => "",
        };
        let viewer = matches!(self, Self::Followers | Self::Following).then_some("$5");
        (OwnedRows { parent, table, owner, condition, viewer }, user)
    }

    /// The values of the parameters from `$5` on.
    fn values(self, viewer: &ViewerId) -> Vec<Value> {
        match self {
            Self::Followers | Self::Following => vec![viewer.value()],
            Self::Muted => vec![clock::now().into()],
            Self::Blocked
            | Self::FollowRequests
            | Self::SentFollowRequests
            | Self::Likers
            | Self::Reposters => vec![],
        }
    }
}

/// An entry of a list of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUser {
    /// Id of the user or the post that the list belongs to.
    pub owner: i64,
    /// Id of the row of the list's table.
    ///
    /// It holds the time of the entry and orders the list.
    pub entry_id: i64,
    /// The listed user.
    pub user: user::UserSummary,
}

impl FromQueryResult for ListedUser {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        const NEXT: usize = user::UserSummary::COLUMNS;
        Ok(Self {
            user: user::UserSummary::from_query_result(row, prefix)?,
            owner: row.try_get_by_index(NEXT)?,
            entry_id: row.try_get_by_index(NEXT + 1)?,
        })
    }
}

/// Pages of a list, newest entry first.
///
/// They are empty if the viewer may not see the list.
pub struct UserLists {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
    pub(super) list: UserList,
}

impl Batch for UserLists {
    type Key = PageKey;
    type Value = Arc<Page<ListedUser>>;

    async fn load(&self, keys: &[PageKey]) -> Result<HashMap<PageKey, Self::Value>, Error> {
        let values = self.list.values(&self.viewer);
        pages(
            &self.db,
            keys,
            (|engine, direction| sql(engine, self.list, direction), &values),
            |request, rows| Arc::new(Page::new(request, rows, |row: &ListedUser| row.entry_id)),
            |row| row.owner,
            |key| key.page.rows() + OWNER_LOOKUPS,
        )
        .await
    }
}

/// The statement for pages of a list, with the listed users' summaries.
///
/// Its parameters are those of [`page_sql`], and then the viewer or the current time.
pub fn sql(engine: Engine, list: UserList, direction: Direction) -> String {
    let (list, user_column) = list.rows();
    let (table, rows) = (list.table, page_sql(engine, list, direction));
    let summary = user::SUMMARY_COLUMNS;
    format!(
        "SELECT {summary}, page.owner, page.entry_id FROM ( \
           SELECT owner.value AS owner, {table}.id AS entry_id, {table}.{user_column} AS other \
           FROM {rows}) AS page CROSS JOIN \"user\" WHERE \"user\".id = page.other"
    )
}
