//! Follows: who may follow whom, and the counts that move with each edge.

use entity::{follow, user};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
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
    let target = other_user(&transaction, viewer, target).await?;
    let statement = graph.db.statement(
        "INSERT INTO follow (id, follower_id, followed_id) VALUES ($1, $2, $3) \
         ON CONFLICT (follower_id, followed_id) DO NOTHING",
        [graph.keys.next().into(), viewer.id().into(), target.id.into()],
    );
    let inserted = transaction.execute_raw(statement).await?.rows_affected() > 0;
    let change = move_counts(&transaction, (viewer.id(), target.id), i32::from(inserted)).await?;
    transaction.commit().await?;
    Ok(change)
}

/// The viewer follows `target` no longer.
pub async fn unfollow(
    graph: &Graph,
    viewer: &Viewer,
    target: &user::By,
) -> Result<FollowChange, Error> {
    let transaction = graph.db.begin().await?;
    let target = other_user(&transaction, viewer, target).await?;
    let change = cut(&transaction, (viewer.id(), target.id)).await?;
    transaction.commit().await?;
    Ok(change)
}

/// `target` follows the viewer no longer.
pub async fn remove_follower(
    graph: &Graph,
    viewer: &Viewer,
    target: &user::By,
) -> Result<FollowChange, Error> {
    let transaction = graph.db.begin().await?;
    let target = other_user(&transaction, viewer, target).await?;
    let change = cut(&transaction, (target.id, viewer.id())).await?;
    transaction.commit().await?;
    Ok(change)
}

/// The user that is meant, who must exist and be somebody else.
async fn other_user(
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    target: &user::By,
) -> Result<user::Model, Error> {
    let Some(user) = user::Entity::find_by(target).one(transaction).await? else {
        return Err(UserErrorKind::NotFound.at(&["user"], "There is no such user.").into());
    };
    if user.id == viewer.id() {
        let message = "This is your own account; choose somebody else.";
        return Err(UserErrorKind::SelfTarget.at(&["user"], message).into());
    }
    Ok(user)
}

async fn cut(
    transaction: &DatabaseTransaction,
    (follower, followed): (i64, i64),
) -> Result<FollowChange, Error> {
    let deleted = follow::Entity::delete_many()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed))
        .exec(transaction)
        .await?;
    let step = if deleted.rows_affected > 0 { -1 } else { 0 };
    move_counts(transaction, (follower, followed), step).await
}

/// Moves the two counts by `step`, and reads how things stand.
async fn move_counts(
    transaction: &DatabaseTransaction,
    (follower, followed): (i64, i64),
    step: i32,
) -> Result<FollowChange, Error> {
    let both = user::Column::Id.is_in([follower, followed]);
    let users = if step == 0 {
        user::Entity::find().filter(both).all(transaction).await?
    } else {
        let moved = |count: user::Column, whose: i64| {
            let here = CaseStatement::new().case(user::Column::Id.eq(whose), step).finally(0);
            Expr::col(count).add(here)
        };
        let (following, followers) = (user::Column::FollowingCount, user::Column::FollowersCount);
        user::Entity::update_many()
            .col_expr(following, moved(following, follower))
            .col_expr(followers, moved(followers, followed))
            .filter(both)
            .exec_with_returning(transaction)
            .await?
    };
    let edge = follow::Entity::find()
        .filter(follow::Column::FollowerId.eq(follower))
        .filter(follow::Column::FollowedId.eq(followed))
        .one(transaction)
        .await?;
    let find = |id| users.iter().find(|user| user.id == id).cloned();
    match (find(follower), find(followed)) {
        (Some(follower), Some(followed)) => {
            Ok(FollowChange { changed: step != 0, follower, followed, edge })
        }
        _ => Err(Error::gone()),
    }
}
