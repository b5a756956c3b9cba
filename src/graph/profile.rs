//! The viewer's own profile: all of a change, or nothing of it.

use entity::user;
use sea_orm::{ActiveModelTrait as _, ActiveValue, NotSet, Set, Value};

use super::{Graph, text};
use crate::auth::{Client, Viewer};
use crate::error::{self, Error, UserError};

/// What [`update`] changes: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub username: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub display_name: Option<Option<String>>,
    pub about_me: Option<Option<String>>,
}

pub async fn update(
    graph: &Graph,
    (viewer, client): (&Viewer, Client),
    profile: Profile,
) -> Result<user::Model, Error> {
    let mut wrong = Vec::new();
    let name = |name| text::display_name(name, &["input", "displayName"]);
    let about = |about_me| text::about_me(about_me, &["input", "aboutMe"]);
    let user = user::ActiveModel {
        id: Set(viewer.id()),
        username: checked(&mut wrong, profile.username, |username| {
            text::username(&username.unwrap_or_default(), &["input", "username"])
        }),
        email: checked(&mut wrong, profile.email, |email| {
            text::email(&email.unwrap_or_default(), &["input", "email"])
        }),
        display_name: checked(&mut wrong, profile.display_name, |to| to.map(name).transpose()),
        about_me: checked(&mut wrong, profile.about_me, |to| to.map(about).transpose()),
        ..Default::default()
    };
    if !wrong.is_empty() {
        return Err(Error::Expected(wrong));
    }
    if user.email.is_set() {
        // The answer tells whether somebody has the address.
        graph.attempts.admit(client.network, None)?;
    }
    let transaction = graph.db.begin().await?;
    let user = user.update(&transaction).await.map_err(error::taken)?;
    graph.commit(transaction, viewer).await?;
    Ok(user)
}

/// What a field is set to, if it is to be changed and the rules allow it.
fn checked<F, T: Into<Value>>(
    wrong: &mut Vec<UserError>,
    to: Option<F>,
    rule: impl FnOnce(F) -> Result<T, UserError>,
) -> ActiveValue<T> {
    match to.map(rule) {
        Some(Ok(value)) => Set(value),
        Some(Err(error)) => {
            wrong.push(error);
            NotSet
        }
        None => NotSet,
    }
}
