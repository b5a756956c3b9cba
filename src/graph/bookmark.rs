//! Bookmarks: posts that the viewer has put aside; nobody else sees them.

use entity::{bookmark, post};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _,
};

use super::{Graph, PostChange};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::{Error, UserErrorKind};
use crate::page::{Page, Slice, rows};

/// The viewer's bookmarks, the newest bookmark first.
pub async fn page(
    snapshot: &Snapshot,
    viewer: &Viewer,
    page: &Page<i64>,
) -> Result<Slice<bookmark::Model>, Error> {
    let engine = snapshot.engine();
    let rows = rows(engine, "bookmark", "user_id", page.direction);
    let (start, end) = page.bounds();
    let values = [engine.keys([viewer.id()]), start.into(), end.into(), page.limit().into()];
    let sql = format!("SELECT bookmark.* FROM {rows}");
    let rows = snapshot.all(&sql, values).await?;
    Ok(Slice::new(page, rows, |bookmark: &bookmark::Model| bookmark.id))
}

pub async fn count(snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
    Ok(bookmark::Entity::find()
        .filter(bookmark::Column::UserId.eq(viewer.id()))
        .count(&**snapshot.get().await?)
        .await?)
}

pub async fn add(graph: &Graph, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = graph.db.begin().await?;
    let post = existing(&transaction, post).await?;
    let statement = graph.db.statement(
        "INSERT INTO bookmark (id, user_id, post_id) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, post_id) DO NOTHING",
        [graph.keys.next().into(), viewer.id().into(), post.id.into()],
    );
    let changed = transaction.execute_raw(statement).await?.rows_affected() > 0;
    graph.commit(transaction, viewer).await?;
    Ok(PostChange { changed, post })
}

pub async fn remove(graph: &Graph, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = graph.db.begin().await?;
    let post = existing(&transaction, post).await?;
    let deleted = bookmark::Entity::delete_many()
        .filter(bookmark::Column::UserId.eq(viewer.id()))
        .filter(bookmark::Column::PostId.eq(post.id))
        .exec(&transaction)
        .await?;
    graph.commit(transaction, viewer).await?;
    Ok(PostChange { changed: deleted.rows_affected > 0, post })
}

/// The post, which stays until the transaction ends.
async fn existing(transaction: &DatabaseTransaction, id: i64) -> Result<post::Model, Error> {
    let post = post::Entity::find_by_id(id).lock(LockType::KeyShare).one(transaction).await?;
    let missing = || UserErrorKind::NotFound.at(&["postId"], "There is no such post.");
    Ok(post.ok_or_else(missing)?)
}
