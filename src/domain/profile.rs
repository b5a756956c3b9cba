//! The viewer's profile.
//!
//! An update is atomic: if one field is invalid, no field is changed, and the errors of all invalid
//! fields are returned together.

use entity::{post, user};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, EntityTrait as _, NotSet,
    QueryFilter as _, Set, Value,
};

use super::{Services, validation};
use crate::auth::{Client, Viewer};
use crate::error;
use crate::error::{Error, UserError, UserErrorKind};

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
}

/// Updates the viewer's profile.
///
/// Returns the number of posts whose visibility has changed.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `UsernameTaken`, `EmailTaken` or `TooManyRequests`;
/// [`Error::Unauthenticated`] when the account was deleted; any error of the database.
pub async fn update(
    services: &Services,
    viewer: &Viewer,
    client: &Client,
    profile: Profile,
) -> Result<u64, Error> {
    let mut errors = Vec::new();
    let display_name = |name: String| validation::display_name(&name, &["input", "displayName"]);
    let about_me = |text| validation::about_me(text, &["input", "aboutMe"]);
    let user = user::ActiveModel {
        id: Set(viewer.id()),
        username: validated(&mut errors, profile.username, |username| {
            validation::username(&username.unwrap_or_default(), &["input", "username"])
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
    if user.email.is_set() {
        // The result reveals whether the address is registered, so each attempt is counted.
        services.throttle.check(client.network, None)?;
    }
    let transaction = services.db.begin().await?;
    let changes_visibility = user.is_protected.is_set();
    let user = user.update(&transaction).await.map_err(error::from_unique_violation)?;
    let mut changed_posts = 0;
    if changes_visibility {
        // The user is locked, so no post is added meanwhile.
        changed_posts = post::Entity::update_many()
            .col_expr(post::Column::IsPublic, Expr::value(!user.is_protected))
            .filter(post::Column::AuthorId.eq(user.id))
            .filter(post::Column::IsPublic.eq(user.is_protected))
            .exec(&transaction)
            .await?
            .rows_affected;
    }
    services.commit(transaction, viewer).await?;
    Ok(changed_posts)
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
