//! Users: the directory, and what one may change about oneself.

use entity::user;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Order};
use sea_orm::{
    ActiveModelTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select, Set,
};

use super::{Graph, text};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::{self, Error};
use crate::page::{Direction, Page, Slice};

/// Users by username from a to z, those whose username starts with `prefix`.
pub async fn directory(
    snapshot: &Snapshot,
    prefix: Option<&str>,
    page: &Page<String>,
) -> Result<Slice<user::Model>, Error> {
    let (start, end) = page.bounds();
    let order = match page.direction {
        Direction::Forward => Order::Asc,
        Direction::Backward => Order::Desc,
    };
    let transaction = snapshot.get().await?;
    let mut rows = starting_with(prefix)
        .filter(name().gt(start.clone()))
        .filter(name().lt(end.clone()))
        .order_by(name(), order)
        .limit(page.limit().cast_unsigned())
        .all(&**transaction)
        .await?;
    let beyond = [
        (page.after.is_some(), name().lte(start), Order::Desc),
        (page.before.is_some(), name().gte(end), Order::Asc),
    ];
    for (_, there, order) in beyond.into_iter().filter(|(given, ..)| *given) {
        let nearest = starting_with(prefix).filter(there).order_by(name(), order);
        rows.extend(nearest.one(&**transaction).await?);
    }
    Ok(Slice::new(page, rows, |user| user.username.to_ascii_lowercase()))
}

/// How many the whole [`directory`] holds.
pub async fn count(snapshot: &Snapshot, prefix: Option<&str>) -> Result<u64, Error> {
    Ok(starting_with(prefix).count(&**snapshot.get().await?).await?)
}

/// As the index has it.
fn name() -> Expr {
    Func::lower(Expr::col((user::Entity, user::Column::Username))).into()
}

/// A range rather than LIKE: the index answers it, and `_` means itself.
fn starting_with(prefix: Option<&str>) -> Select<user::Entity> {
    let prefix = prefix.unwrap_or_default().to_ascii_lowercase();
    let after_all = format!("{prefix}~");
    user::Entity::find().filter(name().gte(prefix)).filter(name().lt(after_all))
}

/// What [`update_profile`] changes: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Default)]
pub struct Profile {
    pub username: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub display_name: Option<Option<String>>,
    pub about_me: Option<Option<String>>,
}

pub async fn update_profile(
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
