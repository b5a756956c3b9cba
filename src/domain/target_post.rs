//! A post that the viewer likes, bookmarks, reposts or replies to.
//!
//! The rules are in the files of these writes. Here is what they share: the post is locked until
//! the end of the transaction, after all users and before any other post, and a post that the
//! viewer may not see does not exist for them.

use entity::post;
use entity::user::visible_to_sql;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
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

/// Locks the posts with the selected ids, and subtracts 1 from a count of each.
///
/// The posts are locked in the order of their ids.
///
/// # Errors
/// Any error of the database.
pub async fn subtract_from_counts(
    transaction: &DatabaseTransaction,
    ids: SelectStatement,
    count: post::Column,
) -> Result<(), DbErr> {
    let is_selected = post::Column::Id.in_subquery(ids);
    let posts = post::Entity::find()
        .select_only()
        .column(post::Column::Id)
        .filter(is_selected.clone())
        .order_by_asc(post::Column::Id)
        .lock(LockType::NoKeyUpdate);
    let _: Vec<i64> = posts.into_tuple().all(transaction).await?;
    post::Entity::update_many()
        .col_expr(count, Expr::col(count).sub(1))
        .filter(is_selected)
        .exec(transaction)
        .await
        .map(drop)
}

/// Subtracts the replies of a user from the counts of other users' posts.
///
/// For the deletion of the account, whose user is locked. The posts are locked in the order of
/// their ids.
///
/// # Errors
/// Any error of the database.
pub async fn uncount_replies(
    services: &Services,
    transaction: &DatabaseTransaction,
    author: i64,
) -> Result<(), DbErr> {
    let parents = Query::select()
        .column(post::Column::InReplyToId)
        .from(post::Entity)
        .and_where(post::Column::AuthorId.eq(author))
        .and_where(post::Column::InReplyToId.is_not_null())
        .to_owned();
    let locked: Vec<i64> = post::Entity::find()
        .select_only()
        .column(post::Column::Id)
        .filter(post::Column::AuthorId.ne(author))
        .filter(post::Column::Id.in_subquery(parents))
        .order_by_asc(post::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .all(transaction)
        .await?;
    if locked.is_empty() {
        return Ok(());
    }
    let statement = services.db.statement(
        "UPDATE post SET replies_count = post.replies_count - reply.number FROM ( \
           SELECT in_reply_to_id AS parent, count(*) AS number FROM post \
           WHERE author_id = $1 AND in_reply_to_id IS NOT NULL GROUP BY in_reply_to_id \
         ) AS reply WHERE post.id = reply.parent AND post.author_id <> $1",
        [author.into()],
    );
    transaction.execute_raw(statement).await.map(drop)
}
