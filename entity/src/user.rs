//! A user: profile, secrets, and the three counts that are kept in step with the rows they count.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, Func, LockType};
use sea_orm::{FromQueryResult, QueryOrder, QueryResult, QuerySelect};

use super::secret::PasswordHash;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// Time-ordered, made by the service.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// As typed; unique without regard to case by an index on `lower(username)`.
    pub username: String,
    /// Trimmed and lower-cased.
    #[sea_orm(unique)]
    pub email: String,
    pub display_name: Option<String>,
    pub about_me: Option<String>,
    /// PHC string of argon2id; `None` for imported users, who cannot log in with a password.
    pub password_hash: Option<PasswordHash>,
    pub created_at: DateTimeUtc,
    /// Written at most once a minute.
    pub last_seen_at: Option<DateTimeUtc>,
    pub followers_count: i32,
    pub following_count: i32,
    pub posts_count: i32,
    /// The last day on which the user has followed somebody, in days since 1970 in UTC,
    pub follows_day: i32,
    /// and how many on that day, whether or not they still do.
    pub follows_made: i32,
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

/// What lists show of a user: a row of few columns, for many of them are read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub id: i64,
    pub username: String,
    pub display_name: Option<String>,
    pub followers_count: i32,
    pub following_count: i32,
    pub posts_count: i32,
}

/// The columns of a [`Card`], which stand first in the statements that read one.
pub const CARD: &str = "\"user\".id, \"user\".username, \"user\".display_name, \
    \"user\".followers_count, \"user\".following_count, \"user\".posts_count";

impl Card {
    /// How many columns it has.
    pub const COLUMNS: usize = 6;
}

/// By the columns' places: looking for names takes longer than all the rest.
impl FromQueryResult for Card {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get_by_index(0)?,
            username: row.try_get_by_index(1)?,
            display_name: row.try_get_by_index(2)?,
            followers_count: row.try_get_by_index(3)?,
            following_count: row.try_get_by_index(4)?,
            posts_count: row.try_get_by_index(5)?,
        })
    }
}

impl From<&Model> for Card {
    fn from(user: &Model) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
            display_name: user.display_name.clone(),
            followers_count: user.followers_count,
            following_count: user.following_count,
            posts_count: user.posts_count,
        }
    }
}

/// A name or an address as it is looked for: in lower case as the index has it, and without the one
/// character that PostgreSQL's texts cannot have. Nobody's has a space.
#[must_use]
pub fn sought(text: &str) -> String {
    text.to_ascii_lowercase().replace('\0', " ")
}

/// How a user is named from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum By {
    Id(i64),
    Username(String),
}

impl Entity {
    /// The one user that is meant, if there is one. Usernames compare without regard to case.
    #[must_use]
    pub fn find_by(by: &By) -> Select<Self> {
        match by {
            By::Id(id) => Self::find_by_id(*id),
            By::Username(username) => Self::find()
                .filter(Expr::from(Func::lower(Expr::col(Column::Username))).eq(sought(username))),
        }
    }

    /// Users by key, locked until the transaction ends, in the order of their keys: whoever locks several
    /// does it like this, so that no two wait for each other.
    #[must_use]
    pub fn locked(which: impl Into<sea_orm::Condition>) -> Select<Self> {
        let which = which.into();
        Self::find().filter(which).order_by_asc(Column::Id).lock(LockType::NoKeyUpdate)
    }
}
