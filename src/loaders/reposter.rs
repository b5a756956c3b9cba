//! The users who have reposted posts, for events.
//!
//! A timeline shows a post by the repost of a user, so events of the post concern it. The users of
//! [`super::UserList::Reposters`] are pages for clients.

use std::collections::HashMap;

use entity::feed_item::{self, IS_REPOST};
use sea_orm::FromQueryResult;

use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, OwnedRows, page_sql};

/// Maximum number of reposts of a post that are read.
const MAX_REPOSTERS: i64 = 1_000;

/// Maximum number of reposts of the posts of one author that are read.
const MAX_REPOSTS_OF_AUTHOR: usize = 10_000;

/// The users who have reposted posts, by post or by author.
pub type Reposters = HashMap<i64, Vec<i64>>;

/// Reads the users who have reposted these posts, in one statement.
///
/// For each post they are those of the newest 1,000 reposts.
///
/// # Errors
/// Any error of the database.
pub async fn reposters(snapshot: &Snapshot, posts: &[i64]) -> Result<Reposters, Error> {
    #[derive(FromQueryResult)]
    struct Repost {
        post_id: i64,
        actor_id: i64,
    }
    let mut by_post = Reposters::new();
    if posts.is_empty() {
        return Ok(by_post);
    }
    let engine = snapshot.engine();
    let (ids, newest) = (engine.bind_ids(posts.iter().copied()), i64::MAX);
    let values = [ids, newest.into(), 0_i64.into(), MAX_REPOSTERS.into()];
    let reposts: Vec<Repost> = snapshot.all(posts.len(), &reposters_sql(engine), values).await?;
    snapshot.charge_read(reposts.len());
    for Repost { post_id, actor_id } in reposts {
        by_post.entry(post_id).or_default().push(actor_id);
    }
    Ok(by_post)
}

/// Reads the users who have reposted posts of these authors, by author.
///
/// An author whose posts have more than 10,000 reposts is absent.
///
/// # Errors
/// Any error of the database.
pub async fn reposters_of_authors(
    snapshot: &Snapshot,
    authors: &[i64],
) -> Result<Reposters, Error> {
    #[derive(FromQueryResult)]
    struct Reposter {
        id: i64,
        reposts: i64,
    }
    let sql = feed_item::reposters_sql(MAX_REPOSTS_OF_AUTHOR + 1);
    let mut by_author = Reposters::new();
    for author in authors {
        let found: Vec<Reposter> = snapshot.all(1, &sql, [(*author).into()]).await?;
        let reposts: i64 = found.iter().map(|reposter| reposter.reposts).sum();
        if usize::try_from(reposts).is_ok_and(|reposts| reposts <= MAX_REPOSTS_OF_AUTHOR) {
            by_author.insert(*author, found.into_iter().map(|reposter| reposter.id).collect());
        }
    }
    Ok(by_author)
}

/// The statement for the reposters of posts, with the parameters of [`page_sql`].
fn reposters_sql(engine: Engine) -> String {
    let (parent, table, owner) = ("post", "feed_item", "post_id");
    let condition = &format!("AND {IS_REPOST}");
    let list = OwnedRows { parent, table, owner, condition, viewer: None };
    let rows = page_sql(engine, list, Direction::Forward);
    format!("SELECT owner.value AS post_id, feed_item.actor_id FROM {rows}")
}
