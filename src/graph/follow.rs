//! Follows: who may follow whom, and the counts that move with each edge.

use chrono::{DateTime, Utc};
use entity::{event, follow, user};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, Select,
};

use super::{FollowLimits, Graph};
use crate::auth::Viewer;
use crate::error::{Error, UserErrorKind};
use crate::key;

/// Seconds of a day.
const DAY: i64 = 86_400;

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
        let made = one_more(graph.follow_limits, &follower, key::time_of(id))?;
        graph.tell(&transaction, event::Kind::Followed, (follower.id, followed.id)).await?;
        move_counts(&transaction, (follower.id, followed.id), Step::Made(edge, made)).await?
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
    move_counts(transaction, (follower.id, followed.id), Step::Cut).await
}

/// How many the follower has followed on which day, with one more.
fn one_more(
    limits: FollowLimits,
    follower: &user::Model,
    now: DateTime<Utc>,
) -> Result<Made, Error> {
    let reached = |limit: i32, what: &str| {
        let message = format!("You may follow no more than {limit} users {what}.");
        UserErrorKind::FollowLimit { limit }.at(&["user"], message).into()
    };
    if limits.total > 0 && follower.following_count >= limits.total {
        return Err(reached(limits.total, "altogether"));
    }
    let day = now.timestamp().div_euclid(DAY);
    let day = i32::try_from(day).unwrap_or(i32::MAX);
    let before = if follower.follows_day == day { follower.follows_made } else { 0 };
    if limits.a_day > 0 && before >= limits.a_day {
        return Err(reached(limits.a_day, "a day"));
    }
    Ok(Made { day, follows: before.saturating_add(1) })
}

/// What the follower has followed on a day.
struct Made {
    day: i32,
    follows: i32,
}

enum Step {
    Made(follow::Model, Made),
    Cut,
}

/// Moves the two counts by a step, and says how things stand.
async fn move_counts(
    transaction: &DatabaseTransaction,
    (follower, followed): (i64, i64),
    step: Step,
) -> Result<FollowChange, Error> {
    let by = if matches!(step, Step::Cut) { -1 } else { 1 };
    let moved = |count: user::Column, whose: i64| {
        let here = CaseStatement::new().case(user::Column::Id.eq(whose), by).finally(0);
        Expr::col(count).add(here)
    };
    let (following, followers) = (user::Column::FollowingCount, user::Column::FollowersCount);
    let mut update = user::Entity::update_many()
        .col_expr(following, moved(following, follower))
        .col_expr(followers, moved(followers, followed));
    let edge = match step {
        Step::Cut => None,
        Step::Made(edge, made) => {
            let set = |column: user::Column, to: i32| {
                let theirs = CaseStatement::new().case(user::Column::Id.eq(follower), to);
                Expr::Case(Box::new(theirs.finally(Expr::col(column))))
            };
            let (day, follows) = (user::Column::FollowsDay, user::Column::FollowsMade);
            update = update.col_expr(day, set(day, made.day));
            update = update.col_expr(follows, set(follows, made.follows));
            Some(edge)
        }
    };
    let users = update
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
