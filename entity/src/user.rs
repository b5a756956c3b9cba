//! A user: profile, password hash, and counts of other rows.
//!
//! The counts are stored, so that a list of users needs no aggregates. Every write of a counted row
//! updates them in its transaction.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, Func, LockType};
use sea_orm::{FromQueryResult, QueryOrder, QueryResult, QuerySelect};

use super::secret::PasswordHash;

/// A row of the table `user`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// Snowflake id, which contains `created_at`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The username with the case that the user chose.
    ///
    /// It is unique without regard to case, by an index on `lower(username)`.
    pub username: String,
    /// The e-mail address, trimmed and in lower case.
    #[sea_orm(unique)]
    pub email: String,
    /// Whether the user has proved to receive mails at `email`.
    pub email_verified: bool,
    /// The name to display instead of the username, if the user has set one.
    pub display_name: Option<String>,
    /// The text of the profile, if the user has set one.
    pub about_me: Option<String>,
    /// PHC string of argon2id.
    ///
    /// `None` for imported users, who cannot log in with a password.
    pub password_hash: Option<PasswordHash>,
    /// The time of the registration.
    pub created_at: DateTimeUtc,
    /// The time of the user's last request, written at most once a minute.
    pub last_seen_at: Option<DateTimeUtc>,
    /// Number of users who follow this user.
    pub followers_count: i32,
    /// Number of users whom this user follows.
    pub following_count: i32,
    /// Number of posts of this user.
    pub posts_count: i32,
    /// Number of these posts that reply to another.
    pub replies_count: i32,
    /// Number of users whom this user mutes, including mutes that have just expired.
    pub mutes_count: i32,
    /// Id of the newest notification that the user has read, or 0.
    pub notifications_read_id: i64,
    /// Whether follows need the user's consent, and only followers see posts and lists.
    pub is_protected: bool,
    /// The day of the user's last follow, in days since 1970-01-01 UTC.
    pub follows_day: i32,
    /// Number of follows made on `follows_day`, including those that were undone.
    pub follows_made: i32,
    /// The day of the user's last post or edit, in days since 1970-01-01 UTC.
    pub posts_day: i32,
    /// Number of posts and edits made on `posts_day`.
    pub posts_made: i32,
    /// Bytes of the texts of posts and edits made on `posts_day`.
    pub post_bytes_made: i64,
    /// The position up to which the user has read their timeline, the id of an entry.
    ///
    /// `None` until the user has marked one. The entry may have been deleted.
    pub timeline_marker: Option<i64>,
    #[sea_orm(has_many)]
    pub posts: HasMany<super::post::Entity>,
    #[sea_orm(has_many)]
    pub sessions: HasMany<super::session::Entity>,
    #[sea_orm(has_many)]
    pub bookmarks: HasMany<super::bookmark::Entity>,
    #[sea_orm(self_ref, via = "follow", from = "Follower", to = "Followed")]
    pub following: HasMany<Entity>,
    #[sea_orm(self_ref, via = "follow", reverse)]
    pub followers: HasMany<Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The columns of a user that lists show.
///
/// Few and short ones, because many rows are read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSummary {
    pub id: i64,
    pub username: String,
    pub display_name: Option<String>,
    pub followers_count: i32,
    pub following_count: i32,
    pub posts_count: i32,
    pub replies_count: i32,
    pub mutes_count: i32,
    pub is_protected: bool,
}

/// The columns of a [`UserSummary`], as a select list.
///
/// They come first in the statements that read one, because they are read by index.
pub const SUMMARY_COLUMNS: &str = "\"user\".id, \"user\".username, \"user\".display_name, \
    \"user\".followers_count, \"user\".following_count, \"user\".posts_count, \
    \"user\".replies_count, \"user\".mutes_count, \"user\".is_protected";

impl UserSummary {
    /// Number of columns.
    pub const COLUMNS: usize = 9;
}

/// Reads columns by index: a look-up by name takes longer than everything else.
impl FromQueryResult for UserSummary {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get_by_index(0)?,
            username: row.try_get_by_index(1)?,
            display_name: row.try_get_by_index(2)?,
            followers_count: row.try_get_by_index(3)?,
            following_count: row.try_get_by_index(4)?,
            posts_count: row.try_get_by_index(5)?,
            replies_count: row.try_get_by_index(6)?,
            mutes_count: row.try_get_by_index(7)?,
            is_protected: row.try_get_by_index(8)?,
        })
    }
}

impl From<&Model> for UserSummary {
    fn from(user: &Model) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
            display_name: user.display_name.clone(),
            followers_count: user.followers_count,
            following_count: user.following_count,
            posts_count: user.posts_count,
            replies_count: user.replies_count,
            mutes_count: user.mutes_count,
            is_protected: user.is_protected,
        }
    }
}

/// The condition that a viewer may see the posts and lists of a user.
///
/// It is the scope of all reads of a user's posts, timeline, followers and followed users. The
/// viewer may see them if the user is not protected, is the viewer, or is followed by the viewer.
/// `user` and `viewer` are expressions with their ids; the viewer's is 0 for an anonymous client.
#[must_use]
pub fn visible_to_sql(user: &str, viewer: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM \"user\" AS seen WHERE seen.id = {user} \
         AND (NOT seen.is_protected OR seen.id = {viewer} OR EXISTS ( \
           SELECT 1 FROM follow AS access \
           WHERE access.follower_id = {viewer} AND access.followed_id = seen.id)))"
    )
}

/// A username or an e-mail address in the form in which it is looked up.
///
/// It is in lower case like the index. NUL, which a text of PostgreSQL cannot contain, becomes a
/// space, which no username and no e-mail address contains.
#[must_use]
pub fn normalize_identifier(text: &str) -> String {
    text.to_ascii_lowercase().replace('\0', " ")
}

/// A reference to a user in arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserRef {
    /// The id of the row.
    Id(i64),
    /// The username, in any case.
    Username(String),
}

impl Entity {
    /// Selects the user of a reference. Usernames are compared without regard to case.
    #[must_use]
    pub fn find_by(reference: &UserRef) -> Select<Self> {
        match reference {
            UserRef::Id(id) => Self::find_by_id(*id),
            UserRef::Username(username) => Self::find().filter(
                Expr::from(Func::lower(Expr::col(Column::Username)))
                    .eq(normalize_identifier(username)),
            ),
        }
    }

    /// Selects users and locks their rows (`FOR NO KEY UPDATE`).
    ///
    /// Rows are locked in the order of their ids, so that two writes with one such statement each
    /// do not deadlock. A write with several of them may deadlock with another write.
    #[must_use]
    pub fn find_for_update(condition: impl Into<sea_orm::Condition>) -> Select<Self> {
        let condition = condition.into();
        Self::find().filter(condition).order_by_asc(Column::Id).lock(LockType::NoKeyUpdate)
    }
}
