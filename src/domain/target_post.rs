//! A post that the viewer likes, bookmarks, reposts or replies to.
//!
//! The rules are in the files of these writes. Here is what they share: the post is locked until
//! the end of the transaction, after all users and before any other post, and a post that the
//! viewer may not see does not exist for them. Here is also what the deletion of a post or of an
//! account changes in the reposts and counts of other users.

use entity::user::visible_to_sql;
use entity::{event, feed_item, post, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::{Change, Services};
use crate::auth::Viewer;
use crate::error::{Error, UserErrorKind};

/// The id of a post in an argument, with the argument's path.
#[derive(Clone, Copy, Debug)]
pub struct PostArgument {
    pub id: i64,
    pub path: &'static [&'static str],
}

/// Prevents the deletion of the viewer and of the author of a post.
///
/// The lock lasts until the end of the transaction. It comes before that of the post, and is the
/// one that inserts of rows about these users take.
///
/// # Errors
/// [`Error::Unauthenticated`] when the viewer's account was deleted; any error of the database.
pub async fn lock_users(
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    post: i64,
) -> Result<(), Error> {
    let author = Query::select()
        .column(post::Column::AuthorId)
        .from(post::Entity)
        .and_where(post::Column::Id.eq(post))
        .to_owned();
    let ids =
        Query::select().expr(Expr::val(viewer.id())).union(UnionType::Distinct, author).to_owned();
    let locked: Vec<i64> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.in_subquery(ids))
        .order_by_asc(user::Column::Id)
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(transaction)
        .await?;
    if locked.contains(&viewer.id()) { Ok(()) } else { Err(Error::account_changed()) }
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

/// The condition that a feed item is a repost.
///
/// The number is part of the statement, and no parameter, so that the indexes of reposts are used.
fn is_repost() -> Expr {
    Expr::cust("kind = 2")
}

/// Deletes the reposts with the given condition on their posts.
///
/// Returns a change for each, by the user who reposted. The posts are locked, so that none of them
/// is reposted meanwhile.
///
/// # Errors
/// Any error of the database.
pub(super) async fn delete_reposts(
    transaction: &DatabaseTransaction,
    is_of_posts: Expr,
) -> Result<Vec<Change>, DbErr> {
    let is_deleted = Condition::all().add(is_of_posts).add(is_repost());
    let reposts: Vec<(i64, i64)> = feed_item::Entity::find()
        .select_only()
        .column(feed_item::Column::ActorId)
        .column(feed_item::Column::PostId)
        .filter(is_deleted.clone())
        .into_tuple()
        .all(transaction)
        .await?;
    if !reposts.is_empty() {
        feed_item::Entity::delete_many().filter(is_deleted).exec(transaction).await?;
    }
    let change = |(actor, object)| Change { kind: event::Kind::Unreposted, actor, object };
    Ok(reposts.into_iter().map(change).collect())
}

/// Ends the reposts by a user, and those of the user's posts.
///
/// Subtracts the former from the counts of posts, and deletes the latter. For the deletion of the
/// account, whose user is locked. Returns the changes of [`delete_reposts`]. The reposts by the
/// user are deleted with the user. Posts are locked in the order of their ids, first those that the
/// user has reposted and then those of the user.
///
/// # Errors
/// Any error of the database.
pub(super) async fn end_reposts(
    transaction: &DatabaseTransaction,
    user: i64,
) -> Result<Vec<Change>, DbErr> {
    let reposted = Query::select()
        .column(feed_item::Column::PostId)
        .from(feed_item::Entity)
        .and_where(feed_item::Column::ActorId.eq(user))
        .and_where(is_repost())
        .to_owned();
    subtract_from_counts(transaction, reposted, post::Column::RepostsCount).await?;
    let is_own = post::Column::AuthorId.eq(user);
    let locked = post::Entity::find()
        .select_only()
        .column(post::Column::Id)
        .filter(is_own.clone())
        .order_by_asc(post::Column::Id)
        .lock(LockType::Update);
    let _: Vec<i64> = locked.into_tuple().all(transaction).await?;
    let own =
        Query::select().column(post::Column::Id).from(post::Entity).and_where(is_own).to_owned();
    delete_reposts(transaction, feed_item::Column::PostId.in_subquery(own)).await
}
