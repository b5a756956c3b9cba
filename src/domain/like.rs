//! Likes: like and unlike posts, list and count the posts that the viewer likes.
//!
//! A like is public: each viewer of the post sees it. A write keeps the post's `likes_count` equal
//! to the number of likes. The list of all posts that a user likes is private.

use entity::notification::Kind;
use entity::{like, post};
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _};

use super::mark::MarkTable;
use super::notification::{self, Notice};
use super::pair::check_contact;
use super::target_post::{PostArgument, add_to_count, lock_post, lock_users, lock_viewer};
use super::{Change, PostChange, Services};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{Page, PageRequest};

/// The table of the viewer's likes.
const TABLE: MarkTable = MarkTable { name: "\"like\"" };
/// The path of the argument with the post.
const PATH: &[&str] = &["postId"];

/// A page of the viewer's likes, newest like first.
///
/// Likes of posts that the viewer may not see any more are left out.
pub async fn page(
    snapshot: &Snapshot,
    viewer: &Viewer,
    request: &PageRequest<i64>,
) -> Result<Page<like::Model>, Error> {
    let rows = TABLE.page_rows(snapshot, viewer, request).await?;
    Ok(Page::new(request, rows, |like: &like::Model| like.id))
}

/// Number of the viewer's likes, of posts that the viewer may see.
pub async fn count(snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
    TABLE.count(snapshot, viewer).await
}

/// Likes a post. Changes nothing if the viewer likes it already.
///
/// A block prevents a new like only.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `Blocked`; [`Error::Unauthenticated`] when the account
/// was deleted; any error of the database.
pub async fn like(services: &Services, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_users(&transaction, viewer, post).await?;
    let target = PostArgument { id: post, path: PATH };
    let target = lock_post(services, &transaction, viewer, target, LockType::NoKeyUpdate).await?;
    let statement = services.db.statement(
        "INSERT INTO \"like\" (id, user_id, post_id) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, post_id) DO NOTHING",
        [services.ids.next().into(), viewer.id().into(), post.into()],
    );
    let changed = transaction.execute_raw(statement).await?.rows_affected() > 0;
    if changed {
        check_contact(&transaction, (viewer.id(), target.author_id), PATH).await?;
        let notice = notice(viewer, &target);
        let parts = notification::notify(services, &transaction, &[notice]).await?;
        add_to_count(&transaction, post, post::Column::LikesCount, 1).await?;
        services.record(&transaction, Change::counted(&target), &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed, post })
}

/// Removes the viewer's like of a post, if there is one.
///
/// A block does not prevent it.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`; [`Error::Unauthenticated`] when the account was deleted;
/// any error of the database.
pub async fn unlike(services: &Services, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_viewer(&transaction, viewer).await?;
    let target = PostArgument { id: post, path: PATH };
    let target = lock_post(services, &transaction, viewer, target, LockType::NoKeyUpdate).await?;
    let deleted = like::Entity::delete_many()
        .filter(like::Column::UserId.eq(viewer.id()))
        .filter(like::Column::PostId.eq(post))
        .exec(&transaction)
        .await?;
    let changed = deleted.rows_affected > 0;
    if changed {
        let notice = notice(viewer, &target);
        let parts = notification::withdraw(services, &transaction, &[notice]).await?;
        add_to_count(&transaction, post, post::Column::LikesCount, -1).await?;
        services.record(&transaction, Change::counted(&target), &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed, post })
}

/// The notice of a like of a post.
fn notice(viewer: &Viewer, post: &post::Model) -> Notice {
    let (recipient, actor) = (post.author_id, viewer.id());
    Notice { recipient, kind: Kind::Like, actor, post: Some(post.id) }
}
