//! The viewer's profile.
//!
//! An update is atomic: if one field is invalid, no field is changed, and the errors of all invalid
//! fields are returned together.

use entity::mail::Kind;
use entity::{event, feed_item, post, user};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, ConnectionTrait as _,
    DatabaseTransaction, DbErr, EntityTrait as _, FromQueryResult, NotSet, QueryFilter as _, Set,
    Value,
};
use secrecy::SecretString;

use super::mail::Recipient;
use super::password::{lock_and_recheck_password, prove_password};
use super::{Change, Services, mail, validation};
use crate::auth::{Client, Viewer};
use crate::database::{Engine, SearchIndex};
use crate::error;
use crate::error::{Error, UserError, UserErrorKind};

/// Maximum number of users who have reposted posts of the user that an event lists.
const MAX_REPOSTERS: usize = 1_000;
/// Maximum number of reposts that are read to list these users.
const MAX_REPOSTS: usize = 10_000;

/// Changes to a profile.
///
/// `None` keeps a value. `Some(None)` clears it, and is invalid for `username`, `email` and
/// `is_protected`.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub username: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub display_name: Option<Option<String>>,
    pub about_me: Option<Option<String>>,
    pub is_protected: Option<Option<bool>>,
    /// The viewer's password, which a change of `email` needs.
    pub current_password: Option<SecretString>,
}

/// Updates the viewer's profile.
///
/// A new e-mail address needs the password and has to be verified. The old address is notified. The
/// present address is no change, so it needs no password.
///
/// Returns the number of posts and of their reposts whose visibility has changed.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `UsernameTaken`, `EmailTaken`, `InvalidCredentials`,
/// `EmailNotVerified` or `TooManyRequests`; [`Error::Unauthenticated`] when the account was deleted
/// or its password changed in the meantime; any error of the database.
pub async fn update(
    services: &Services,
    viewer: &Viewer,
    client: &Client,
    profile: Profile,
) -> Result<u64, Error> {
    if profile.changes_more_than_email() {
        services.check_email_verified(viewer)?;
    }
    let mut errors = Vec::new();
    let display_name = |name: String| validation::display_name(&name, &["input", "displayName"]);
    let username = |name: String| {
        let path = &["input", "username"];
        let name = validation::username(&name, path)?;
        // A user who has a reserved name may change its case.
        let is_own = name.eq_ignore_ascii_case(&viewer.user().username);
        if is_own { Ok(name) } else { services.reserved_names.check(name, path) }
    };
    let about_me = |text| validation::about_me(text, &["input", "aboutMe"]);
    let mut user = user::ActiveModel {
        id: Set(viewer.id()),
        username: validated(&mut errors, profile.username, |name| {
            username(name.unwrap_or_default())
        }),
        email: validated(&mut errors, profile.email, |email| {
            validation::email(&email.unwrap_or_default(), &["input", "email"])
        }),
        display_name: validated(&mut errors, profile.display_name, |value| {
            value.map(display_name).transpose()
        }),
        about_me: validated(&mut errors, profile.about_me, |value| value.map(about_me).transpose()),
        is_protected: validated(&mut errors, profile.is_protected, |value| {
            let message = "Choose true or false.";
            let path = &["input", "isProtected"];
            value.ok_or_else(|| UserErrorKind::InvalidInput.at(path, message))
        }),
        ..Default::default()
    };
    if !errors.is_empty() {
        return Err(Error::Expected(errors));
    }
    if user.email == Set(viewer.user().email.clone()) {
        user.email = NotSet;
    }
    let changes_email = user.email.is_set();
    if changes_email {
        // The result of the change reveals whether the new address is registered.
        prove_password(services, viewer, client, profile.current_password, "currentPassword")
            .await?;
        user.email_verified = Set(false);
    }
    let transaction = services.db.begin().await?;
    if let Set(email) = &user.email {
        record_email_change(services, &transaction, viewer, email).await?;
    }
    let changes_visibility = user.is_protected.is_set();
    let changes_names = user.username.is_set() || user.display_name.is_set();
    let user = user.update(&transaction).await.map_err(error::from_unique_violation)?;
    if changes_names {
        let names = SearchIndex::names(&user.username, user.display_name.as_deref());
        services.db.index_words(&*transaction, SearchIndex::Users, user.id, &names).await?;
    }
    let mut changed_rows = 0;
    if changes_visibility {
        lock_posts(services, &transaction, &user).await?;
        // The user is locked, so no post is added meanwhile.
        changed_rows = post::Entity::update_many()
            .col_expr(post::Column::IsPublic, Expr::value(!user.is_protected))
            .filter(post::Column::AuthorId.eq(user.id))
            .filter(post::Column::IsPublic.eq(user.is_protected))
            .exec(&transaction)
            .await?
            .rows_affected;
        if changed_rows > 0 {
            changed_rows += record_reposters(services, &transaction, user.id).await?;
        }
    }
    services.commit(transaction, viewer).await?;
    if changes_email {
        services.wake_mail();
    }
    Ok(changed_rows)
}

/// Locks the posts of a user whose visibility changes, in the order of their ids.
///
/// An update of many rows would lock them in any order.
async fn lock_posts(
    services: &Services,
    transaction: &DatabaseTransaction,
    user: &user::Model,
) -> Result<(), DbErr> {
    if services.db.engine() == Engine::Sqlite {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM (SELECT id FROM post WHERE author_id = $1 AND is_public = $2 \
        ORDER BY id FOR NO KEY UPDATE) AS locked";
    let values = [user.id.into(), user.is_protected.into()];
    transaction.execute_raw(services.db.statement(sql, values)).await.map(drop)
}

impl Profile {
    fn changes_more_than_email(&self) -> bool {
        let Self { username, display_name, about_me, is_protected, .. } = self;
        username.is_some() || display_name.is_some() || about_me.is_some() || is_protected.is_some()
    }
}

/// Adds mails to the new and to the old address.
///
/// Links that reset the password become invalid.
async fn record_email_change(
    services: &Services,
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    new: &str,
) -> Result<(), Error> {
    // The password may have been changed while it was verified.
    let user = lock_and_recheck_password(transaction, viewer.user().clone()).await?;
    let user = user.ok_or_else(Error::account_changed)?;
    mail::check_limit(transaction, Kind::VerifyEmail, user.id).await?;
    mail::delete_reset_tokens(transaction, user.id).await?;
    for (kind, email) in [(Kind::VerifyEmail, new), (Kind::EmailChanged, &user.email)] {
        mail::queue(services, transaction, kind, Recipient { user: user.id, email }).await?;
    }
    Ok(())
}

/// Records that timelines hide or show others' reposts of a user's posts.
///
/// The event is by the first of the reposters, and not by the user: the timelines of the user's
/// followers do not change. Many reposters are not listed: the event is by the user, and its
/// readers look for them.
///
/// Returns the number of all reposts of the user's posts. The posts were written in the
/// transaction, so none of them is reposted meanwhile.
async fn record_reposters(
    services: &Services,
    transaction: &DatabaseTransaction,
    author: i64,
) -> Result<u64, DbErr> {
    #[derive(FromQueryResult)]
    struct Reposter {
        id: i64,
        reposts: i64,
    }
    #[derive(FromQueryResult)]
    struct Reposts {
        number: i64,
    }
    let sql = feed_item::reposters_sql(MAX_REPOSTS + 1);
    let statement = services.db.statement(&sql, [author.into()]);
    let reposters = Reposter::find_by_statement(statement).all(transaction).await?;
    let (hidden, many) = (event::Kind::RepostsHidden, event::Kind::ManyRepostsHidden);
    let change = |kind, actor| Change { kind, actor, object: author };
    let read: i64 = reposters.iter().map(|reposter| reposter.reposts).sum();
    let has_all = usize::try_from(read).is_ok_and(|read| read <= MAX_REPOSTS);
    let changes: Vec<Change> = if reposters.len() > MAX_REPOSTERS || !has_all {
        vec![change(many, author)]
    } else {
        reposters.iter().map(|reposter| change(hidden, reposter.id)).collect()
    };
    if let Some((first, others)) = changes.split_first() {
        services.record(transaction, *first, others).await?;
    }
    let sql = "SELECT CAST(coalesce(sum(reposts_count), 0) AS bigint) AS number \
        FROM post WHERE author_id = $1";
    let statement = services.db.statement(sql, [author.into()]);
    let reposts = Reposts::find_by_statement(statement).one(transaction).await?;
    Ok(reposts.map_or(0, |reposts| reposts.number.unsigned_abs()))
}

/// The column value of a change, or `NotSet` if there is none or it is invalid.
///
/// The error of an invalid change is added to `errors`.
fn validated<F, T: Into<Value>>(
    errors: &mut Vec<UserError>,
    change: Option<F>,
    validate: impl FnOnce(F) -> Result<T, UserError>,
) -> ActiveValue<T> {
    match change.map(validate) {
        Some(Ok(value)) => Set(value),
        Some(Err(error)) => {
            errors.push(error);
            NotSet
        }
        None => NotSet,
    }
}
