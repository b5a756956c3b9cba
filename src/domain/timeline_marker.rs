//! The timeline marker: how far the viewer has read their timeline.
//!
//! The marker is a position, so the post there may have been deleted. It only moves to newer
//! positions: of two devices, the one that has read less does not move it back. It records no
//! event, because only the viewer sees it.

use entity::user;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _};

use super::Services;
use crate::auth::Viewer;
use crate::clock;
use crate::error::Error;
use crate::ids::snowflake;

/// The result of [`advance`].
#[derive(Clone, Copy, Debug)]
pub struct MarkerChange {
    /// Whether the marker has moved.
    pub changed: bool,
    /// The marker, a position in the viewer's timeline.
    pub marker: i64,
}

/// Moves the viewer's marker to `position`, unless it is there or further.
///
/// # Errors
/// [`Error::InvalidCursor`] when no timeline can have an entry at the position yet;
/// [`Error::Unauthenticated`] when the account was deleted; any error of the database.
pub async fn advance(
    services: &Services,
    viewer: &Viewer,
    position: i64,
) -> Result<MarkerChange, Error> {
    // The marker never moves back, so a cursor from the future would disable it. The clocks of
    // other instances may be ahead a little.
    let latest = snowflake::first_id_at(clock::now() + clock::MAX_STEP);
    if position > Ord::max(latest, services.ids.next()) {
        return Err(Error::InvalidCursor);
    }
    let transaction = services.db.begin().await?;
    let column = user::Column::TimelineMarker;
    let is_behind = Condition::any().add(column.is_null()).add(column.lt(position));
    let moved = user::Entity::update_many()
        .col_expr(column, Expr::value(position))
        .filter(user::Column::Id.eq(viewer.id()))
        .filter(is_behind)
        .exec(&transaction)
        .await?;
    if moved.rows_affected > 0 {
        services.commit(transaction, viewer).await?;
        return Ok(MarkerChange { changed: true, marker: position });
    }
    let user = user::Entity::find_by_id(viewer.id()).one(&transaction).await?;
    let marker = user.and_then(|user| user.timeline_marker).ok_or_else(Error::account_changed)?;
    Ok(MarkerChange { changed: false, marker })
}
