//! The deletion of a post.

use entity::{event, feed_item, post, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};

use super::reactions::delete_reactions;
use crate::auth::Viewer;
use crate::domain::steps::{Step, run_steps};
use crate::domain::target_post::{add_to_count, find_own};
use crate::domain::{Change, Services};
use crate::error::Error;

/// Deletes a post of the viewer with all rows that refer to it.
///
/// Returns whether it existed.
///
/// Its replies stay, and still have its id.
///
/// A post with many reactions is deleted in several transactions. Until the last, other users see
/// the post with fewer reactions, and may add others. If the deletion ends early, it can be
/// repeated.
///
/// # Errors
/// [`Error::Forbidden`] when another user wrote the post; [`Error::OutcomeUnknown`] when reactions
/// were deleted and the post was not; any error of the database.
pub async fn delete_post(services: &Services, viewer: &Viewer, id: i64) -> Result<bool, Error> {
    run_steps(|has_begun| step(services, viewer, id, has_begun)).await
}

async fn step(
    services: &Services,
    viewer: &Viewer,
    id: i64,
    has_begun: bool,
) -> Result<Step<bool>, Error> {
    let services = &services.with_database(&services.db.at_end_of_queue());
    let transaction = services.db.begin().await?;
    user::Entity::find_for_update(user::Column::Id.eq(viewer.id())).one(&transaction).await?;
    let parent = lock_parent(&transaction, viewer, id).await?;
    let Some(post) = find_own(services, &transaction, viewer, id).await? else {
        // Another request can have deleted the rest.
        return Ok(Step::Last(has_begun));
    };
    let deleted = delete_reactions(services, &transaction, &[id]).await?;
    let mut parts = deleted.reposts;
    if !deleted.is_complete {
        if deleted.are_counts_changed {
            services.record(&transaction, Change::counted(&post), &parts).await?;
        }
        services.commit(transaction, viewer).await?;
        return Ok(Step::Partial);
    }
    feed_item::Entity::delete_by_id((viewer.id(), id)).exec(&transaction).await?;
    post::Entity::delete_by_id(id).exec(&transaction).await?;
    uncount_post(&transaction, &post).await?;
    parts.extend(parent.as_ref().map(Change::counted));
    let removed = Change { kind: event::Kind::PostRemoved, actor: viewer.id(), object: id };
    services.record(&transaction, removed, &parts).await?;
    services.commit(transaction, viewer).await?;
    Ok(Step::Last(true))
}

/// Locks the post that a post of the viewer replies to, which is older.
///
/// Posts are locked in the order of their ids, so it comes before the reply.
async fn lock_parent(
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    reply: i64,
) -> Result<Option<post::Model>, DbErr> {
    let parent = Query::select()
        .column(post::Column::InReplyToId)
        .from(post::Entity)
        .and_where(post::Column::Id.eq(reply))
        .and_where(post::Column::AuthorId.eq(viewer.id()))
        .to_owned();
    let parent = post::Entity::find().filter(post::Column::Id.in_subquery(parent));
    parent.lock(LockType::NoKeyUpdate).one(transaction).await
}

/// Subtracts a deleted post from the counts of its author and of its parent.
///
/// The parent can have been deleted before.
async fn uncount_post(transaction: &DatabaseTransaction, post: &post::Model) -> Result<(), DbErr> {
    let (posts, replies) = (user::Column::PostsCount, user::Column::RepliesCount);
    let deleted_replies = i32::from(post.in_reply_to_id.is_some());
    user::Entity::update_many()
        .col_expr(posts, Expr::col(posts).sub(1))
        .col_expr(replies, Expr::col(replies).sub(deleted_replies))
        .filter(user::Column::Id.eq(post.author_id))
        .exec(transaction)
        .await?;
    if let Some(parent) = post.in_reply_to_id {
        add_to_count(transaction, parent, post::Column::RepliesCount, -1).await?;
    }
    Ok(())
}
