//! Posts: create, edit and delete the viewer's posts, and list all posts.
//!
//! Only the author may change a post. Each write also keeps the author's `posts_count` equal to the
//! number of posts, and records an event for the subscribers of timelines.

use chrono::{SubsecRound as _, Utc};
use entity::{bookmark, event, post, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _, Set,
};

use super::{PostChange, Services, validation};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::{Error, UserErrorKind};
use crate::ids::snowflake;
use crate::pagination::{Page, PageRequest, all_pages_sql};

/// A page of all posts, newest first.
pub async fn newest(
    snapshot: &Snapshot,
    request: &PageRequest<i64>,
) -> Result<Page<post::Model>, Error> {
    let engine = snapshot.engine();
    let (start, end) = request.bounds();
    let values = [true.into(), start.into(), end.into(), request.limit().into()];
    let sql = format!("SELECT post.* FROM {}", all_pages_sql(engine, "post", request.direction));
    let rows = snapshot.all(&sql, values).await?;
    Ok(Page::new(request, rows, |post: &post::Model| post.id))
}

/// Number of all posts.
pub async fn count(snapshot: &Snapshot) -> Result<u64, Error> {
    Ok(post::Entity::find().count(&**snapshot.transaction().await?).await?)
}

/// Creates a post of the viewer.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`; [`Error::Unauthenticated`] when the account was
/// deleted; any error of the database.
pub async fn create(
    services: &Services,
    viewer: &Viewer,
    body: String,
) -> Result<post::Model, Error> {
    let body = validation::body(body, &["input", "body"])?;
    let transaction = services.db.begin().await?;
    if !update_posts_count(&transaction, viewer.id(), 1).await? {
        return Err(Error::account_changed());
    }
    let id = services.ids.next();
    let post = post::ActiveModel {
        id: Set(id),
        author_id: Set(viewer.id()),
        body: Set(body),
        created_at: Set(snowflake::timestamp_of(id)),
        edited_at: Set(None),
    };
    let post = post.insert(&transaction).await?;
    services.record_event(&transaction, event::Kind::PostAdded, viewer.id(), id).await?;
    services.commit(transaction, viewer).await?;
    Ok(post)
}

/// Replaces the body of a post of the viewer. The same body changes nothing.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput` or `NotFound`; [`Error::Forbidden`] when another user
/// wrote the post; any error of the database.
pub async fn edit(
    services: &Services,
    viewer: &Viewer,
    id: i64,
    body: String,
) -> Result<PostChange, Error> {
    let body = validation::body(body, &["input", "body"])?;
    let transaction = services.db.begin().await?;
    let Some(post) = find_own(&transaction, viewer, id).await? else {
        return Err(UserErrorKind::NotFound.at(&["input", "id"], "There is no such post.").into());
    };
    if post.body == body {
        return Ok(PostChange { changed: false, post });
    }
    let mut post: post::ActiveModel = post.into();
    post.body = Set(body);
    post.edited_at = Set(Some(Utc::now().trunc_subsecs(3)));
    let post = post.update(&transaction).await?;
    services.record_event(&transaction, event::Kind::PostUpdated, viewer.id(), id).await?;
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed: true, post })
}

/// Deletes a post of the viewer with its bookmarks. Returns whether it existed.
///
/// # Errors
/// [`Error::Forbidden`] when another user wrote the post; any error of the database.
pub async fn delete(services: &Services, viewer: &Viewer, id: i64) -> Result<bool, Error> {
    let transaction = services.db.begin().await?;
    user::Entity::find_for_update(user::Column::Id.eq(viewer.id())).one(&transaction).await?;
    let Some(post) = find_own(&transaction, viewer, id).await? else {
        return Ok(false);
    };
    bookmark::Entity::delete_many()
        .filter(bookmark::Column::PostId.eq(post.id))
        .exec(&transaction)
        .await?;
    post::Entity::delete_by_id(post.id).exec(&transaction).await?;
    update_posts_count(&transaction, viewer.id(), -1).await?;
    services.record_event(&transaction, event::Kind::PostRemoved, viewer.id(), id).await?;
    services.commit(transaction, viewer).await?;
    Ok(true)
}

/// Finds a post of the viewer and locks it until the end of the transaction.
///
/// # Errors
/// [`Error::Forbidden`] when another user wrote the post; any error of the database.
async fn find_own(
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    id: i64,
) -> Result<Option<post::Model>, Error> {
    let post = post::Entity::find_by_id(id).lock(LockType::Update).one(transaction).await?;
    if post.as_ref().is_some_and(|post| post.author_id != viewer.id()) {
        return Err(Error::Forbidden("Only its author may change or delete a post."));
    }
    Ok(post)
}

/// Adds `change` to the author's post count. Returns whether the author exists.
async fn update_posts_count(
    transaction: &DatabaseTransaction,
    author: i64,
    change: i32,
) -> Result<bool, DbErr> {
    let count = user::Column::PostsCount;
    let updated = user::Entity::update_many()
        .col_expr(count, Expr::col(count).add(change))
        .filter(user::Column::Id.eq(author))
        .exec(transaction)
        .await?;
    Ok(updated.rows_affected > 0)
}
