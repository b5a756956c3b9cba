//! Posts: writing, changing and taking back one's own, and the public list of all.

use chrono::{SubsecRound as _, Utc};
use entity::{bookmark, event, post, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _, Set,
};

use super::{Graph, PostChange, text};
use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::{Error, UserErrorKind};
use crate::key;
use crate::page::{Page, Slice, all_rows};

/// All posts, newest first.
pub async fn newest(snapshot: &Snapshot, page: &Page<i64>) -> Result<Slice<post::Model>, Error> {
    let engine = snapshot.engine();
    let (start, end) = page.bounds();
    let values = [true.into(), start.into(), end.into(), page.limit().into()];
    let sql = format!("SELECT post.* FROM {}", all_rows(engine, "post", page.direction));
    let rows = snapshot.all(&sql, values).await?;
    Ok(Slice::new(page, rows, |post: &post::Model| post.id))
}

pub async fn count(snapshot: &Snapshot) -> Result<u64, Error> {
    Ok(post::Entity::find().count(&**snapshot.get().await?).await?)
}

pub async fn create(graph: &Graph, viewer: &Viewer, body: String) -> Result<post::Model, Error> {
    let body = text::body(body, &["input", "body"])?;
    let transaction = graph.db.begin().await?;
    if !move_count(&transaction, viewer.id(), 1).await? {
        return Err(Error::gone());
    }
    let id = graph.keys.next();
    let post = post::ActiveModel {
        id: Set(id),
        author_id: Set(viewer.id()),
        body: Set(body),
        created_at: Set(key::time_of(id)),
        edited_at: Set(None),
    };
    let post = post.insert(&transaction).await?;
    graph.tell(&transaction, event::Kind::PostAdded, (viewer.id(), id)).await?;
    graph.commit(transaction, viewer).await?;
    Ok(post)
}

pub async fn edit(
    graph: &Graph,
    viewer: &Viewer,
    id: i64,
    body: String,
) -> Result<PostChange, Error> {
    let body = text::body(body, &["input", "body"])?;
    let transaction = graph.db.begin().await?;
    let Some(post) = own(&transaction, viewer, id).await? else {
        return Err(UserErrorKind::NotFound.at(&["input", "id"], "There is no such post.").into());
    };
    if post.body == body {
        return Ok(PostChange { changed: false, post });
    }
    let mut post: post::ActiveModel = post.into();
    post.body = Set(body);
    post.edited_at = Set(Some(Utc::now().trunc_subsecs(3)));
    let post = post.update(&transaction).await?;
    graph.tell(&transaction, event::Kind::PostUpdated, (viewer.id(), id)).await?;
    graph.commit(transaction, viewer).await?;
    Ok(PostChange { changed: true, post })
}

/// Whether there was such a post to delete. Bookmarks of it go with it.
pub async fn delete(graph: &Graph, viewer: &Viewer, id: i64) -> Result<bool, Error> {
    let transaction = graph.db.begin().await?;
    user::Entity::locked(user::Column::Id.eq(viewer.id())).one(&transaction).await?;
    let Some(post) = own(&transaction, viewer, id).await? else {
        return Ok(false);
    };
    bookmark::Entity::delete_many()
        .filter(bookmark::Column::PostId.eq(post.id))
        .exec(&transaction)
        .await?;
    post::Entity::delete_by_id(post.id).exec(&transaction).await?;
    move_count(&transaction, viewer.id(), -1).await?;
    graph.tell(&transaction, event::Kind::PostRemoved, (viewer.id(), id)).await?;
    graph.commit(transaction, viewer).await?;
    Ok(true)
}

/// The post, if it exists, locked; an error if it is somebody else's.
async fn own(
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

/// Whether there is such a user.
async fn move_count(
    transaction: &DatabaseTransaction,
    author: i64,
    step: i32,
) -> Result<bool, DbErr> {
    let count = user::Column::PostsCount;
    let updated = user::Entity::update_many()
        .col_expr(count, Expr::col(count).add(step))
        .filter(user::Column::Id.eq(author))
        .exec(transaction)
        .await?;
    Ok(updated.rows_affected > 0)
}
