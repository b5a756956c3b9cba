//! Follows: who may follow whom, and the counts that move with each edge.

use entity::{event, follow, user};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, Select,
};

use super::Graph;
use crate::auth::Viewer;
use crate::error::{Error, UserErrorKind};

/// A follow that was made, unmade, or left as it was, with both users as they are after it.
#[derive(Clone, Debug)]
pub struct FollowChange {
    pub changed: bool,
    pub follower: user::Model,
    pub followed: user::Model,
    /// The edge, when there is one after the change.
    pub edge: Option<follow::Model>,
}

/// The viewer follows `target`.
pub async fn follow(
    graph: &Graph,
    viewer: &Viewer,
    target: &user::By,
) -> Result<FollowChange, Error> {
    let transaction = graph.db.begin().await?;
    let (follower, followed) = both(&transaction, viewer, target).await?;
    let id = graph.keys.next();
    let statement = graph.db.statement(
        "INSERT INTO follow (id, follower_id, followed_id) VALUES ($1, $2, $3) \
         ON CONFLICT (follower_id, followed_id) DO NOTHING",
        [id.into(), follower.id.into(), followed.id.into()],
    );
    let inserted = transaction.execute_raw(statement).await?.rows_affected() > 0;
    let change = if inserted {
        let edge = follow::Model { id, follower_id: follower.id, followed_id: followed.id };
        graph.tell(&transaction, event::Kind::Followed, (follower.id, followed.id)).await?;
        move_counts(&transaction, (follower.id, followed.id), 1, Some(edge)).await?
    } else {
        let edge = between(follower.id, followed.id).one(&transaction).await?;
        FollowChange { changed: false, follower, followed, edge }
    };
    graph.commit(transaction, viewer).await?;
    Ok(change)
}

/// The viewer follows `target` no longer.
pub async fn unfollow(
    graph: &Graph,
    viewer: &Viewer,
    target: &user::By,
) -> Result<FollowChange, Error> {
    let transaction = graph.db.begin().await?;
    let (follower, followed) = both(&transaction, viewer, target).await?;
    let change = cut(graph, &transaction, follower, followed).await?;
    graph.commit(transaction, viewer).await?;
    Ok(change)
}

/// `target` follows the viewer no longer.
pub async fn remove_follower(
    graph: &Graph,
    viewer: &Viewer,
    target: &user::By,
) -> Result<FollowChange, Error> {
    let transaction = graph.db.begin().await?;
    let (followed, follower) = both(&transaction, viewer, target).await?;
    let change = cut(graph, &transaction, follower, followed).await?;
    graph.commit(transaction, viewer).await?;
    Ok(change)
}

/// The viewer, and the user that is meant, who must exist and be somebody else. Both are locked: nobody
/// else changes an edge of theirs meanwhile.
async fn both(
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    target: &user::By,
) -> Result<(user::Model, user::Model), Error> {
    let missing = || UserErrorKind::NotFound.at(&["user"], "There is no such user.");
    let target = user::Entity::find_by(target).one(transaction).await?.ok_or_else(missing)?;
    if target.id == viewer.id() {
        let message = "This is your own account; choose somebody else.";
        return Err(UserErrorKind::SelfTarget.at(&["user"], message).into());
    }
    let both = user::Column::Id.is_in([viewer.id(), target.id]);
    let mut users = user::Entity::locked(both).all(transaction).await?;
    let mut take = |id| users.iter().position(|user| user.id == id).map(|at| users.remove(at));
    let viewer = take(viewer.id()).ok_or_else(Error::gone)?;
    Ok((viewer, take(target.id).ok_or_else(missing)?))
}

fn between(follower: i64, followed: i64) -> Select<follow::Entity> {
    follow::Entity::find()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed))
}

async fn cut(
    graph: &Graph,
    transaction: &DatabaseTransaction,
    follower: user::Model,
    followed: user::Model,
) -> Result<FollowChange, Error> {
    let deleted = follow::Entity::delete_many()
        .filter(follow::Column::FollowerId.eq(follower.id))
        .filter(follow::Column::FollowedId.eq(followed.id))
        .exec(transaction)
        .await?;
    if deleted.rows_affected == 0 {
        return Ok(FollowChange { changed: false, follower, followed, edge: None });
    }
    graph.tell(transaction, event::Kind::Unfollowed, (follower.id, followed.id)).await?;
    move_counts(transaction, (follower.id, followed.id), -1, None).await
}

/// Moves the two counts by `step`, and says how things stand.
async fn move_counts(
    transaction: &DatabaseTransaction,
    (follower, followed): (i64, i64),
    step: i32,
    edge: Option<follow::Model>,
) -> Result<FollowChange, Error> {
    let moved = |count: user::Column, whose: i64| {
        let here = CaseStatement::new().case(user::Column::Id.eq(whose), step).finally(0);
        Expr::col(count).add(here)
    };
    let (following, followers) = (user::Column::FollowingCount, user::Column::FollowersCount);
    let users = user::Entity::update_many()
        .col_expr(following, moved(following, follower))
        .col_expr(followers, moved(followers, followed))
        .filter(user::Column::Id.is_in([follower, followed]))
        .exec_with_returning(transaction)
        .await?;
    let find = |id| users.iter().find(|user| user.id == id).cloned();
    match (find(follower), find(followed)) {
        (Some(follower), Some(followed)) => {
            Ok(FollowChange { changed: true, follower, followed, edge })
        }
        _ => Err(Error::gone()),
    }
}
