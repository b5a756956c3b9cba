//! Reposts: repost a post, and withdraw a repost.
//!
//! A repost is a feed item of the user who reposts. A write keeps the post's `reposts_count` equal
//! to the number of these items, and records an event for the subscribers of timelines.

use entity::feed_item::{self, IS_REPOST, Kind};
use entity::{event, post};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, ModelTrait as _,
    QueryFilter as _,
};

use super::notification::{self, Notice};
use super::pair::check_contact;
use super::target_post::{PostArgument, add_to_count, lock_post, lock_users, lock_viewer};
use super::{Change, PostChange, Services};
use crate::auth::Viewer;
use crate::error::{Error, UserErrorKind};

/// The path of the argument with the post.
const PATH: &[&str] = &["postId"];

/// Reposts a post. Changes nothing if the viewer has reposted it already.
///
/// Only the author can repost a post of a protected user. A block and a protection prevent new
/// reposts only.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`, `InvalidInput` or `Blocked`; [`Error::Unauthenticated`]
/// when the account was deleted; any error of the database.
pub async fn repost(services: &Services, viewer: &Viewer, post: i64) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_users(&transaction, viewer, post).await?;
    let target = PostArgument { id: post, path: PATH };
    let target = lock_post(services, &transaction, viewer, target, LockType::NoKeyUpdate).await?;
    let (item, kind) = (services.ids.next(), Kind::Repost.into_value());
    let sql = format!(
        "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (post_id, actor_id) WHERE {IS_REPOST} DO NOTHING"
    );
    let values =
        [viewer.id().into(), item.into(), post.into(), target.author_id.into(), kind.into()];
    let statement = services.db.statement(&sql, values);
    let changed = transaction.execute_raw(statement).await?.rows_affected() > 0;
    if changed {
        check_contact(&transaction, (viewer.id(), target.author_id), PATH).await?;
        if !target.is_public && target.author_id != viewer.id() {
            let message = "The author is protected. Only the author can repost this post.";
            return Err(UserErrorKind::InvalidInput.at(PATH, message).into());
        }
        add_to_count(&transaction, post, post::Column::RepostsCount, 1).await?;
        let reposted = Change { kind: event::Kind::Reposted, actor: viewer.id(), object: item };
        let mut parts = vec![Change::counted(&target)];
        let notice = notice(viewer, &target);
        parts.extend(notification::notify(services, &transaction, &[notice]).await?);
        services.record(&transaction, reposted, &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed, post })
}

/// Withdraws the viewer's repost of a post, if there is one.
///
/// Neither a block nor a protection prevents it.
///
/// # Errors
/// [`Error::Expected`] with `NotFound`; [`Error::Unauthenticated`] when the account was deleted;
/// any error of the database.
pub async fn unrepost(
    services: &Services,
    viewer: &Viewer,
    post: i64,
) -> Result<PostChange, Error> {
    let transaction = services.db.begin().await?;
    lock_viewer(&transaction, viewer).await?;
    let target = PostArgument { id: post, path: PATH };
    let target = lock_post(services, &transaction, viewer, target, LockType::NoKeyUpdate).await?;
    let item = feed_item::Entity::find()
        .filter(feed_item::Column::PostId.eq(post))
        .filter(feed_item::Column::ActorId.eq(viewer.id()))
        .filter(Expr::cust(IS_REPOST))
        .one(&transaction)
        .await?;
    let changed = item.is_some();
    if let Some(item) = item {
        item.delete(&transaction).await?;
        add_to_count(&transaction, post, post::Column::RepostsCount, -1).await?;
        let withdrawn = Change { kind: event::Kind::Unreposted, actor: viewer.id(), object: post };
        let mut parts = vec![Change::counted(&target)];
        let notice = notice(viewer, &target);
        parts.extend(notification::withdraw(services, &transaction, &[notice]).await?);
        services.record(&transaction, withdrawn, &parts).await?;
    }
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed, post })
}

/// The notice of a repost of a post.
fn notice(viewer: &Viewer, post: &post::Model) -> Notice {
    let (recipient, kind) = (post.author_id, entity::notification::Kind::Repost);
    Notice { recipient, kind, actor: viewer.id(), post: Some(post.id) }
}
