//! What a step of the deletion of an account deletes.
//!
//! It is read before any lock, so that users and posts can be locked in the order of their ids.

use std::collections::BTreeSet;

use entity::feed_item::IS_REPOST;
use sea_orm::{DatabaseTransaction, DbErr, FromQueryResult};

use super::STEP;
use crate::domain::Services;

/// A post of the user.
#[derive(FromQueryResult)]
struct OwnPost {
    id: i64,
    /// The post that it replies to.
    parent: Option<i64>,
    /// Number of likes and reposts.
    reactions: i64,
}

/// A row that refers to the user.
#[derive(FromQueryResult)]
pub struct OwnRow {
    pub id: i64,
    /// The other user, or the post.
    pub other: i64,
}

/// Rows whose deletion changes counts.
///
/// They are at most [`STEP`] and the reactions to one post.
pub struct Plan {
    /// Posts of the user, oldest first.
    pub posts: Vec<i64>,
    /// The posts that these reply to.
    pub parents: BTreeSet<i64>,
    pub reposts: Vec<OwnRow>,
    pub likes: Vec<OwnRow>,
    pub following: Vec<OwnRow>,
    pub followers: Vec<OwnRow>,
    /// Mutes of the user by others.
    pub mutes: Vec<OwnRow>,
    /// Number of further rows that the step may delete.
    ///
    /// 0 if the plan may not have all rows.
    pub left: i64,
}

impl Plan {
    /// Reads the next rows of a user.
    ///
    /// Posts come first: followers see them as long as they follow, and those who mute the user do
    /// not see them as long as the mute exists.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn read(
        services: &Services,
        transaction: &DatabaseTransaction,
        user: i64,
    ) -> Result<Self, DbErr> {
        let sql = "SELECT id, in_reply_to_id AS parent, \
            CAST(likes_count + reposts_count AS bigint) AS reactions \
            FROM post WHERE author_id = $1 ORDER BY id LIMIT $2";
        let statement = services.db.statement(sql, [user.into(), STEP.into()]);
        let mut posts = OwnPost::find_by_statement(statement).all(transaction).await?;
        let found = posts.len();
        let (fitting, rows) = fitting(&posts);
        posts.truncate(fitting);
        let is_complete = fitting == found && rows < STEP;
        let mut left = if is_complete { STEP - rows } else { 0 };
        let source = (services, transaction, user);
        let reposts = format!("post_id AS other FROM feed_item WHERE {IS_REPOST} AND actor_id");
        let likes = "post_id AS other FROM \"like\" WHERE user_id";
        let following = "followed_id AS other FROM follow WHERE follower_id";
        let followers = "follower_id AS other FROM follow WHERE followed_id";
        let mutes = "muter_id AS other FROM mute WHERE muted_id";
        let reposts = own_rows(source, &reposts, &mut left).await?;
        let likes = own_rows(source, likes, &mut left).await?;
        let following = own_rows(source, following, &mut left).await?;
        let followers = own_rows(source, followers, &mut left).await?;
        let mutes = own_rows(source, mutes, &mut left).await?;
        Ok(Self {
            parents: posts.iter().filter_map(|post| post.parent).collect(),
            posts: posts.iter().map(|post| post.id).collect(),
            reposts,
            likes,
            following,
            followers,
            mutes,
            left,
        })
    }

    /// The users whose counts the step changes, with the user.
    pub fn users(&self, user: i64) -> BTreeSet<i64> {
        let others = [&self.following, &self.followers, &self.mutes].into_iter().flatten();
        others.map(|row| row.other).chain([user]).collect()
    }

    /// The posts that the step changes or deletes.
    pub fn locked_posts(&self) -> BTreeSet<i64> {
        let reacted = self.reposts.iter().chain(&self.likes).map(|row| row.other);
        reacted.chain(self.posts.iter().copied()).chain(self.parents.iter().copied()).collect()
    }
}

/// The number of first posts that a step deletes, and the number of their rows.
///
/// It is at least one post, of which a step may delete a part of the reactions.
fn fitting(posts: &[OwnPost]) -> (usize, i64) {
    let mut rows = 0;
    for (index, post) in posts.iter().enumerate() {
        let with_post = rows + 1 + post.reactions;
        if with_post > STEP {
            return if index == 0 { (1, STEP) } else { (index, rows) };
        }
        rows = with_post;
    }
    (posts.len(), rows)
}

/// Rows that refer to a user, at most `left`.
///
/// `left` is then reduced by their number.
///
/// `list` is the end of a statement, before the id of the user.
async fn own_rows(
    (services, transaction, user): (&Services, &DatabaseTransaction, i64),
    list: &str,
    left: &mut i64,
) -> Result<Vec<OwnRow>, DbErr> {
    if *left == 0 {
        return Ok(vec![]);
    }
    let sql = format!("SELECT id, {list} = $1 LIMIT $2");
    let statement = services.db.statement(&sql, [user.into(), (*left).into()]);
    let rows = OwnRow::find_by_statement(statement).all(transaction).await?;
    *left -= i64::try_from(rows.len()).unwrap_or(i64::MAX);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_posts_up_to_its_number_of_rows_and_at_least_one() {
        let fitting_of = |reactions: &[i64]| {
            let post =
                |(id, reactions): (i64, &i64)| OwnPost { id, parent: None, reactions: *reactions };
            fitting(&(0..).zip(reactions).map(post).collect::<Vec<_>>())
        };
        assert_eq!(fitting_of(&[]), (0, 0));
        assert_eq!(fitting_of(&[0, 2]), (2, 4));
        assert_eq!(fitting_of(&[5_000, 0]), (1, STEP));
        assert_eq!(fitting_of(&[STEP - 2, 0, 0]), (2, STEP));
        assert_eq!(fitting_of(&[0, STEP]), (1, 1));
    }
}
