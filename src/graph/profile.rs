//! The viewer's own profile: all of a change, or nothing of it.

use entity::user;
use sea_orm::{ActiveModelTrait as _, Set};

use super::{Graph, text};
use crate::auth::Viewer;
use crate::error::{self, Error};

/// What [`update`] changes: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Default)]
pub struct Profile {
    pub username: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub display_name: Option<Option<String>>,
    pub about_me: Option<Option<String>>,
}

pub async fn update(
    graph: &Graph,
    viewer: &Viewer,
    profile: Profile,
) -> Result<user::Model, Error> {
    let mut user = user::ActiveModel { id: Set(viewer.id()), ..Default::default() };
    let mut wrong = Vec::new();
    if let Some(username) = profile.username {
        match text::username(&username.unwrap_or_default(), &["input", "username"]) {
            Ok(username) => user.username = Set(username),
            Err(error) => wrong.push(error),
        }
    }
    if let Some(email) = profile.email {
        match text::email(&email.unwrap_or_default(), &["input", "email"]) {
            Ok(email) => user.email = Set(email),
            Err(error) => wrong.push(error),
        }
    }
    if let Some(name) = profile.display_name {
        let checked = |name| text::display_name(name, &["input", "displayName"]);
        match name.map(checked).transpose() {
            Ok(name) => user.display_name = Set(name),
            Err(error) => wrong.push(error),
        }
    }
    if let Some(about_me) = profile.about_me {
        let checked = |about_me| text::about_me(about_me, &["input", "aboutMe"]);
        match about_me.map(checked).transpose() {
            Ok(about_me) => user.about_me = Set(about_me),
            Err(error) => wrong.push(error),
        }
    }
    if !wrong.is_empty() {
        return Err(Error::Expected(wrong));
    }
    let transaction = graph.db.begin().await?;
    let user = user.update(&transaction).await.map_err(error::taken)?;
    transaction.commit().await?;
    Ok(user)
}
