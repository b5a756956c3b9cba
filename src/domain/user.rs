//! The directory of users by username: all, or those whose username has a prefix.
//!
//! Usernames compare without regard to case, by the index on `lower(username)`. The pages are built
//! here and not by `pagination::page_sql`, whose lists are ordered by id.

use entity::user;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Order};
use sea_orm::{
    EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
};

use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{Direction, Page, PageRequest};

/// A page of the users whose username starts with `prefix`, from a to z.
pub async fn directory(
    snapshot: &Snapshot,
    prefix: Option<&str>,
    request: &PageRequest<String>,
) -> Result<Page<user::Model>, Error> {
    let (start, end) = request.bounds();
    let order = match request.direction {
        Direction::Forward => Order::Asc,
        Direction::Backward => Order::Desc,
    };
    let transaction = snapshot.read(request.rows()).await?;
    let mut rows = starting_with(prefix)
        .filter(name().gt(start.clone()))
        .filter(name().lt(end.clone()))
        .order_by(name(), order)
        .limit(request.limit().cast_unsigned())
        .all(&**transaction)
        .await?;
    // The nearest user on the far side of each cursor, which shows whether there is another page.
    let beyond = [
        (request.after.is_some(), name().lte(start), Order::Desc),
        (request.before.is_some(), name().gte(end), Order::Asc),
    ];
    for (_, is_beyond, order) in beyond.into_iter().filter(|(has_cursor, ..)| *has_cursor) {
        let nearest = starting_with(prefix).filter(is_beyond).order_by(name(), order);
        rows.extend(nearest.one(&**transaction).await?);
    }
    Ok(Page::new(request, rows, |user| user.username.to_ascii_lowercase()))
}

/// Number of users whose username starts with `prefix`.
pub async fn count(snapshot: &Snapshot, prefix: Option<&str>) -> Result<u64, Error> {
    let count = starting_with(prefix).count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}

/// The lower-cased username, as it is indexed.
fn name() -> Expr {
    Func::lower(Expr::col((user::Entity, user::Column::Username))).into()
}

/// The users whose username starts with `prefix`.
///
/// The condition is a range and not LIKE: a range uses the index, and `_` is not a wildcard in it.
fn starting_with(prefix: Option<&str>) -> Select<user::Entity> {
    let prefix = user::normalize_identifier(prefix.unwrap_or_default());
    let end = format!("{prefix}~");
    user::Entity::find().filter(name().gte(prefix)).filter(name().lt(end))
}
