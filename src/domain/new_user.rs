//! The row of a new user, which a registration or the identity provider creates.

use chrono::SubsecRound as _;
use entity::secret::PasswordHash;
use entity::user;
use sea_orm::{ActiveModelTrait as _, DatabaseTransaction, DbErr, Set};

use super::Services;
use crate::clock;
use crate::database::SearchIndex;
use crate::ids::snowflake;

/// The texts of a new user, which are valid.
pub struct NewUser {
    pub id: i64,
    pub username: String,
    pub email: String,
    /// Whether the user has proved to receive mails there.
    pub email_verified: bool,
    pub display_name: Option<String>,
    /// `None` for a user who cannot log in with a password.
    pub password_hash: Option<PasswordHash>,
}

impl NewUser {
    /// Inserts the user, and the words of the names into the search index.
    ///
    /// # Errors
    /// Any error of the database, such as that the username or the address is taken.
    pub async fn insert(
        self,
        services: &Services,
        transaction: &DatabaseTransaction,
    ) -> Result<user::Model, DbErr> {
        let Self { id, username, email, email_verified, display_name, password_hash } = self;
        let user = user::ActiveModel {
            id: Set(id),
            username: Set(username),
            email: Set(email),
            email_verified: Set(email_verified),
            display_name: Set(display_name),
            password_hash: Set(password_hash),
            created_at: Set(snowflake::timestamp_of(id)),
            last_seen_at: Set(Some(clock::now().trunc_subsecs(3))),
            followers_count: Set(0),
            following_count: Set(0),
            posts_count: Set(0),
            replies_count: Set(0),
            follows_day: Set(0),
            follows_made: Set(0),
            posts_day: Set(0),
            posts_made: Set(0),
            post_bytes_made: Set(0),
            mutes_count: Set(0),
            is_protected: Set(false),
            timeline_marker: Set(None),
            ..Default::default()
        };
        let user = user.insert(transaction).await?;
        let names = SearchIndex::names(&user.username, user.display_name.as_deref());
        services.db.index_words(transaction, SearchIndex::Users, id, &names).await?;
        Ok(user)
    }
}
