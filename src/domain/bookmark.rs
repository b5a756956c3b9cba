//! Bookmarks: add, remove, list and count the viewer's bookmarks.
//!
//! Bookmarks are private, so every function takes the viewer as their owner. They are not counted
//! in a column and record no event, because only their owner sees them.

use entity::{bookmark, post};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _,
};

use super::{PostChange, Services};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::{Error, UserErrorKind};
use crate::pagination::{Page, PageRequest, page_sql};

/// A page of the viewer's bookmarks, newest bookmark first.
pub async fn page(
    snapshot: &Snapshot,
    viewer: &Viewer,
    request: &PageRequest<i64>,
) -> Result<Page<bookmark::Model>, Error> {
    let engine = snapshot.engine();
    let source = page_sql(engine, "bookmark", ("user_id", ""), request.direction);
    let (start, end) = request.bounds();
    let values = [engine.bind_ids([viewer.id()]), start.into(), end.into(), request.limit().into()];
    let sql = format!("SELECT bookmark.* FROM {source}");
    let rows = snapshot.all(request.rows(), &sql, values).await?;
    Ok(Page::new(request, rows, |bookmark: &bookmark::Model| bookmark.id))
}

/// Number of the viewer's bookmarks.
pub async fn count(snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
    let bookmarks = bookmark::Entity::find().filter(bookmark::Column::UserId.eq(viewer.id()));
    let count = bookmarks.count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}

/// Bookmarks a post. Changes nothing if the viewer has bookmarked it already.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`; any error of the database.
pub async fn add(services: &Services, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_post(&transaction, post).await?;
    let statement = services.db.statement(
        "INSERT INTO bookmark (id, user_id, post_id) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, post_id) DO NOTHING",
        [services.ids.next().into(), viewer.id().into(), post.into()],
    );
    let changed = transaction.execute_raw(statement).await?.rows_affected() > 0;
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed, post })
}

/// Removes the viewer's bookmark of a post, if there is one.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`; any error of the database.
pub async fn remove(services: &Services, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_post(&transaction, post).await?;
    let deleted = bookmark::Entity::delete_many()
        .filter(bookmark::Column::UserId.eq(viewer.id()))
        .filter(bookmark::Column::PostId.eq(post))
        .exec(&transaction)
        .await?;
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed: deleted.rows_affected > 0, post })
}

/// Locks a post against deletion until the end of the transaction.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`; any error of the database.
async fn lock_post(transaction: &DatabaseTransaction, id: i64) -> Result<(), Error> {
    let post = post::Entity::find_by_id(id).lock(LockType::KeyShare).one(transaction).await?;
    let missing = || UserErrorKind::NotFound.at(&["postId"], "There is no such post.");
    post.ok_or_else(missing)?;
    Ok(())
}
