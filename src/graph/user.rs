//! Users: the directory.

use entity::user;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Order};
use sea_orm::{
    EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
};

use crate::database::Snapshot;
use crate::error::Error;
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
    let prefix = user::sought(prefix.unwrap_or_default());
    let after_all = format!("{prefix}~");
    user::Entity::find().filter(name().gte(prefix)).filter(name().lt(after_all))
}
