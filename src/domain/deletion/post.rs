//! The deletion of a post, by its author or by a moderator.

use entity::moderation_log::Action;
use entity::{event, feed_item, post, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};

use super::reactions::delete_reactions;
use crate::auth::{Moderator, Viewer};
use crate::domain::moderation_log::{self, Entry};
use crate::domain::steps::{Step, run_steps};
use crate::domain::target_post::{add_to_count, find_own};
use crate::domain::{Change, Services, validation};
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

/// Deletes a post of any user, as [`delete_post`] does, and records it.
///
/// Returns whether it existed. The moderator need not be able to see the post.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`; [`Error::Forbidden`] when the author has the same role
/// as the moderator or a higher one; those of [`delete_post`].
pub async fn remove_post(
    services: &Services,
    moderator: &Moderator,
    id: i64,
    reason: String,
) -> Result<bool, Error> {
    let reason = validation::reason(reason, &["reason"])?;
    let step = |has_begun| removal_step(services, moderator, (id, reason.as_str()), has_begun);
    run_steps(step).await
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
    let parent = lock_parent(&transaction, viewer.id(), id).await?;
    let Some(post) = find_own(services, &transaction, viewer, id).await? else {
        // Another request can have deleted the rest.
        return Ok(Step::Last(has_begun));
    };
    let step = delete_rows(services, &transaction, &post, parent).await?;
    services.commit(transaction, viewer).await?;
    Ok(step)
}

async fn removal_step(
    services: &Services,
    moderator: &Moderator,
    (id, reason): (i64, &str),
    has_begun: bool,
) -> Result<Step<bool>, Error> {
    // Another request can have deleted the rest.
    let missing = Step::Last(has_begun);
    let services = &services.with_database(&services.db.at_end_of_queue());
    let transaction = services.db.begin().await?;
    let Some(found) = post::Entity::find_by_id(id).one(&transaction).await? else {
        return Ok(missing);
    };
    let author = user::Entity::find_for_update(user::Column::Id.eq(found.author_id));
    let Some(author) = author.one(&transaction).await? else { return Ok(missing) };
    if author.id != moderator.id() {
        moderator.check_may_act_on(author.role)?;
    }
    let parent = lock_parent(&transaction, author.id, id).await?;
    let post = post::Entity::find_by_id(id).lock(LockType::Update).one(&transaction).await?;
    let Some(post) = post else { return Ok(missing) };
    let step = delete_rows(services, &transaction, &post, parent).await?;
    if step == Step::Last(true) {
        let entry = Entry::new(Action::RemovePost, Some(moderator.id()), author.id);
        let entry = Entry { post: Some(id), reason: Some(reason.to_owned()), ..entry };
        moderation_log::record(&transaction, services.ids.next(), entry).await?;
    }
    services.commit(transaction, moderator).await?;
    Ok(step)
}

/// Deletes a post that is locked, or only some of the reactions to it.
///
/// Its author and `parent`, the post that it replies to, are locked too.
async fn delete_rows(
    services: &Services,
    transaction: &DatabaseTransaction,
    post: &post::Model,
    parent: Option<post::Model>,
) -> Result<Step<bool>, DbErr> {
    let deleted = delete_reactions(services, transaction, &[post.id]).await?;
    let mut parts = deleted.reposts;
    if !deleted.is_complete {
        if deleted.are_counts_changed {
            services.record(transaction, Change::counted(post), &parts).await?;
        }
        return Ok(Step::Partial);
    }
    feed_item::Entity::delete_by_id((post.author_id, post.id)).exec(transaction).await?;
    post::Entity::delete_by_id(post.id).exec(transaction).await?;
    uncount_post(transaction, post).await?;
    parts.extend(parent.as_ref().map(Change::counted));
    let kind = event::Kind::PostRemoved;
    let removed = Change { kind, actor: post.author_id, object: post.id };
    services.record(transaction, removed, &parts).await?;
    Ok(Step::Last(true))
}

/// Locks the post that a post of an author replies to, which is older.
///
/// Posts are locked in the order of their ids, so it comes before the reply.
async fn lock_parent(
    transaction: &DatabaseTransaction,
    author: i64,
    reply: i64,
) -> Result<Option<post::Model>, DbErr> {
    let parent = Query::select()
        .column(post::Column::InReplyToId)
        .from(post::Entity)
        .and_where(post::Column::Id.eq(reply))
        .and_where(post::Column::AuthorId.eq(author))
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
