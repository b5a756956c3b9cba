//! The viewer's profile.
//!
//! An update is atomic: if one field is invalid, no field is changed, and the errors of all invalid
//! fields are returned together.

use entity::user;
use sea_orm::{ActiveModelTrait as _, ActiveValue, NotSet, Set, Value};

use super::{Services, validation};
use crate::auth::{Client, Viewer};
use crate::error;
use crate::error::{Error, UserError};

/// Changes to a profile.
///
/// `None` keeps a value. `Some(None)` clears it, and is invalid for `username` and `email`.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub username: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub display_name: Option<Option<String>>,
    pub about_me: Option<Option<String>>,
}

/// Updates the viewer's profile.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `UsernameTaken`, `EmailTaken` or `TooManyRequests`;
/// [`Error::Unauthenticated`] when the account was deleted; any error of the database.
pub async fn update(
    services: &Services,
    viewer: &Viewer,
    client: &Client,
    profile: Profile,
) -> Result<(), Error> {
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
    user.update(&transaction).await.map_err(error::from_unique_violation)?;
    services.commit(transaction, viewer).await
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
