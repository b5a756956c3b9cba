//! A post that the viewer likes, bookmarks, reposts, replies to, edits or deletes.
//!
//! The rules are in the files of these writes. Here is what they share: the post is locked until
//! the end of the transaction, after all users and before any other post, and a post that the
//! viewer may not see does not exist for them.

use entity::user::visible_to_sql;
use entity::{post, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};

use super::Services;
use crate::auth::Viewer;
use crate::error::{Error, UserErrorKind};

/// The id of a post in an argument, with the argument's path.
#[derive(Clone, Copy, Debug)]
pub struct PostArgument {
    pub id: i64,
    pub path: &'static [&'static str],
}

/// Locks the viewer until the end of the transaction, before any other row.
///
/// # Errors
/// [`Error::Unauthenticated`] when the viewer's account was deleted; any error of the database.
pub async fn lock_viewer(transaction: &DatabaseTransaction, viewer: &Viewer) -> Result<(), Error> {
    let locked: Option<i64> = user::Entity::find_for_update(user::Column::Id.eq(viewer.id()))
        .select_only()
        .column(user::Column::Id)
        .into_tuple()
        .one(transaction)
        .await?;
    locked.ok_or_else(Error::account_changed).map(drop)
}

/// Locks the viewer, and prevents the deletion of the author of a post.
///
/// The locks last until the end of the transaction, and come before that of the post. Blocks lock
/// both users, so neither blocks the other meanwhile.
///
/// # Errors
/// [`Error::Unauthenticated`] when the viewer's account was deleted; any error of the database.
pub async fn lock_users(
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    post: i64,
) -> Result<(), Error> {
    lock_viewer(transaction, viewer).await?;
    Ok(lock_author(transaction, post).await?)
}

/// Prevents the deletion of the author of a post until the end of the transaction.
///
/// It is the lock that inserts of rows about the author take.
///
/// # Errors
/// Any error of the database.
pub async fn lock_author(transaction: &DatabaseTransaction, post: i64) -> Result<(), DbErr> {
    let author = Query::select()
        .column(post::Column::AuthorId)
        .from(post::Entity)
        .and_where(post::Column::Id.eq(post))
        .to_owned();
    let _: Vec<i64> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.in_subquery(author))
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(())
}

/// Finds a post and locks it until the end of the transaction.
///
/// [`LockType::KeyShare`] prevents its deletion only, [`LockType::NoKeyUpdate`] any other write.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` when there is no such post, or the viewer may not see it;
/// any error of the database.
pub async fn lock_post(
    services: &Services,
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    argument: PostArgument,
    lock: LockType,
) -> Result<post::Model, Error> {
    let is_visible =
        services.db.engine().expr(&visible_to_sql("post.author_id", "$1"), viewer.id());
    let post = post::Entity::find_by_id(argument.id).filter(is_visible).lock(lock);
    let missing = || UserErrorKind::NotFound.at(argument.path, "There is no such post.");
    post.one(transaction).await?.ok_or_else(|| missing().into())
}

/// Adds `difference` to a count of a post.
///
/// # Errors
/// Any error of the database.
pub async fn add_to_count(
    transaction: &DatabaseTransaction,
    post: i64,
    count: post::Column,
    difference: i32,
) -> Result<(), DbErr> {
    post::Entity::update_many()
        .col_expr(count, Expr::col(count).add(difference))
        .filter(post::Column::Id.eq(post))
        .exec(transaction)
        .await
        .map(drop)
}

/// Finds a post of the viewer and locks it until the end of the transaction.
///
/// A post that the viewer may not see does not exist for them.
///
/// # Errors
/// [`Error::Forbidden`] when another user wrote the post; any error of the database.
pub async fn find_own(
    services: &Services,
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    id: i64,
) -> Result<Option<post::Model>, Error> {
    let is_visible =
        services.db.engine().expr(&visible_to_sql("post.author_id", "$1"), viewer.id());
    let post = post::Entity::find_by_id(id)
        .filter(is_visible)
        .lock(LockType::Update)
        .one(transaction)
        .await?;
    if post.as_ref().is_some_and(|post| post.author_id != viewer.id()) {
        return Err(Error::Forbidden("Only its author may change or delete a post."));
    }
    Ok(post)
}
