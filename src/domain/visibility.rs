//! What a change of the visibility of a user's posts writes.
//!
//! The posts of a user are for some or no viewers while the user is protected or suspended. The
//! condition in each read decides (`entity::user::visible_to_sql`). A change of it also writes the
//! copy that the list of all public posts has, and resets the timelines that show the posts as
//! reposts.

use entity::event::Kind;
use entity::{feed_item, post};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    FromQueryResult, QueryFilter as _,
};

use super::{Change, record};
use crate::database::{Database, Engine};

/// Maximum number of users who have reposted posts of the user that an event lists.
const MAX_REPOSTERS: usize = 1_000;
/// Maximum number of reposts that are read to list these users.
const MAX_REPOSTS: usize = 10_000;

/// What has changed with the visibility of a user's posts.
#[derive(Default)]
pub struct ChangedPosts {
    /// The changes of timelines that show reposts of the posts.
    hidden: Vec<Change>,
    /// Number of the posts, and of their reposts.
    pub rows: u64,
}

impl ChangedPosts {
    /// Records that timelines hide or show others' reposts of the posts.
    ///
    /// `of_user` is the change of the timelines that show the user. Without it, the event is by the
    /// first of the reposters, and not by the user: these timelines do not change.
    ///
    /// # Errors
    /// Any error of the database.
    pub(super) async fn record(
        self,
        db: &Database,
        transaction: &DatabaseTransaction,
        of_user: Option<Change>,
    ) -> Result<(), DbErr> {
        let mut changes: Vec<Change> = of_user.into_iter().chain(self.hidden).collect();
        // The event itself, and not a part: replays find its kind in timelines that do not show
        // the user.
        changes.sort_by_key(|change| change.kind != Kind::ManyRepostsHidden);
        match changes.split_first() {
            Some((first, others)) => record(db, transaction, *first, others).await,
            None => Ok(()),
        }
    }
}

/// Makes all posts of a locked user public, or none of them.
///
/// The user is locked, so no post is added meanwhile.
///
/// # Errors
/// Any error of the database.
pub(super) async fn set_public(
    db: &Database,
    transaction: &DatabaseTransaction,
    user: i64,
    is_public: bool,
) -> Result<ChangedPosts, DbErr> {
    lock_posts(db, transaction, user, !is_public).await?;
    let posts = post::Entity::update_many()
        .col_expr(post::Column::IsPublic, Expr::value(is_public))
        .filter(post::Column::AuthorId.eq(user))
        .filter(post::Column::IsPublic.eq(!is_public))
        .exec(transaction)
        .await?
        .rows_affected;
    if posts == 0 {
        return Ok(ChangedPosts::default());
    }
    let hidden = hidden_reposts(db, transaction, user).await?;
    Ok(ChangedPosts { hidden, rows: posts + count_reposts(db, transaction, user).await? })
}

/// Locks the posts of a user whose visibility changes, in the order of their ids.
///
/// An update of many rows would lock them in any order.
async fn lock_posts(
    db: &Database,
    transaction: &DatabaseTransaction,
    user: i64,
    is_public: bool,
) -> Result<(), DbErr> {
    if db.engine() == Engine::Sqlite {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM (SELECT id FROM post WHERE author_id = $1 AND is_public = $2 \
        ORDER BY id FOR NO KEY UPDATE) AS locked";
    let values = [user.into(), is_public.into()];
    transaction.execute_raw(db.statement(sql, values)).await.map(drop)
}

/// The changes of timelines that show others' reposts of a user's posts.
///
/// Many reposters are not listed: the change is by the user, and readers of the event look for
/// them. The posts were written in the transaction, so none of them is reposted meanwhile.
async fn hidden_reposts(
    db: &Database,
    transaction: &DatabaseTransaction,
    author: i64,
) -> Result<Vec<Change>, DbErr> {
    #[derive(FromQueryResult)]
    struct Reposter {
        id: i64,
        reposts: i64,
    }
    let sql = feed_item::reposters_sql(MAX_REPOSTS + 1);
    let statement = db.statement(&sql, [author.into()]);
    let reposters = Reposter::find_by_statement(statement).all(transaction).await?;
    let change = |kind, actor| Change { kind, actor, object: author };
    let read: i64 = reposters.iter().map(|reposter| reposter.reposts).sum();
    let has_all = usize::try_from(read).is_ok_and(|read| read <= MAX_REPOSTS);
    if reposters.len() > MAX_REPOSTERS || !has_all {
        return Ok(vec![change(Kind::ManyRepostsHidden, author)]);
    }
    Ok(reposters.iter().map(|reposter| change(Kind::RepostsHidden, reposter.id)).collect())
}

/// Number of all reposts of a user's posts.
async fn count_reposts(
    db: &Database,
    transaction: &DatabaseTransaction,
    author: i64,
) -> Result<u64, DbErr> {
    #[derive(FromQueryResult)]
    struct Reposts {
        number: i64,
    }
    let sql = "SELECT CAST(coalesce(sum(reposts_count), 0) AS bigint) AS number \
        FROM post WHERE author_id = $1";
    let statement = db.statement(sql, [author.into()]);
    let reposts = Reposts::find_by_statement(statement).one(transaction).await?;
    Ok(reposts.map_or(0, |reposts| reposts.number.unsigned_abs()))
}
