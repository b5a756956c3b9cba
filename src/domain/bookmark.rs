//! Bookmarks: add, remove, list and count the viewer's bookmarks.
//!
//! Bookmarks are private, so every function takes the viewer as their owner. They are not counted
//! in a column and record no event, because only their owner sees them.

use entity::bookmark;
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _};

use super::mark::MarkTable;
use super::target_post::{PostArgument, lock_post, lock_viewer};
use super::{PostChange, Services};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{Page, PageRequest};

/// The table of the viewer's bookmarks.
const TABLE: MarkTable = MarkTable { name: "bookmark" };

/// A page of the viewer's bookmarks, newest bookmark first.
///
/// Bookmarks of posts that the viewer may not see any more are left out.
pub async fn page(
    snapshot: &Snapshot,
    viewer: &Viewer,
    request: &PageRequest<i64>,
) -> Result<Page<bookmark::Model>, Error> {
    let rows = TABLE.page_rows(snapshot, viewer, request).await?;
    Ok(Page::new(request, rows, |bookmark: &bookmark::Model| bookmark.id))
}

/// Number of the viewer's bookmarks, of posts that the viewer may see.
pub async fn count(snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
    TABLE.count(snapshot, viewer).await
}

/// The post of a mutation's argument.
fn argument(id: i64) -> PostArgument {
    PostArgument { id, path: &["postId"] }
}

/// Bookmarks a post. Changes nothing if the viewer has bookmarked it already.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`; [`Error::Unauthenticated`] when the account was deleted;
/// any error of the database.
pub async fn add(services: &Services, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_viewer(&transaction, viewer).await?;
    lock_post(services, &transaction, viewer, argument(post), LockType::KeyShare).await?;
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
/// [`Error::Expected`] with `NotFound`; [`Error::Unauthenticated`] when the account was deleted;
/// any error of the database.
pub async fn remove(services: &Services, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_viewer(&transaction, viewer).await?;
    lock_post(services, &transaction, viewer, argument(post), LockType::KeyShare).await?;
    let deleted = bookmark::Entity::delete_many()
        .filter(bookmark::Column::UserId.eq(viewer.id()))
        .filter(bookmark::Column::PostId.eq(post))
        .exec(&transaction)
        .await?;
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed: deleted.rows_affected > 0, post })
}
