//! Random graphs, and their timelines by a plain union.

use entity::post;
use proptest::prelude::*;
use rookery::database::Database;
use sea_orm::{ConnectionTrait as _, FromQueryResult as _};

/// A graph of twelve users.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Follower and followed user.
    pub follows: Vec<(i64, i64)>,
    /// Muter and muted user.
    pub mutes: Vec<(i64, i64)>,
    /// Protected users.
    pub protected: Vec<i64>,
    /// The author of each post, oldest first.
    pub authors: Vec<i64>,
}

pub fn graphs() -> impl Strategy<Value = Graph> {
    // Few and many authors, with many posts and with none.
    let user = 1i64..=12;
    let author = prop_oneof![3 => 1i64..=12, 2 => 1i64..=3, 1 => Just(1i64)];
    let follows = prop::collection::vec((user.clone(), user.clone()), 0..60);
    let mutes = prop::collection::vec((user.clone(), user.clone()), 0..40);
    let protected = prop::collection::vec(user, 0..6);
    let authors = prop::collection::vec(author, 0..250);
    (follows, mutes, protected, authors).prop_map(|(follows, mutes, protected, authors)| Graph {
        follows,
        mutes,
        protected,
        authors,
    })
}

/// Replaces all rows of the database by those of a graph.
pub async fn fill(db: &Database, graph: &Graph) {
    let transaction = db.begin().await.unwrap();
    let run = |sql: String| transaction.execute_unprepared_owned(sql);
    // With the users, all rows that refer to them are deleted.
    run("DELETE FROM \"user\"".to_owned()).await;
    for user in 1..=12 {
        run(format!(
            "INSERT INTO \"user\" (id, username, email, created_at, is_protected) VALUES \
             ({user}, 'u{user}', 'u{user}@example.com', '2026-01-01T00:00:00+00:00', {})",
            graph.protected.contains(&user)
        ))
        .await;
    }
    for (n, (follower, followed)) in graph.follows.iter().enumerate().filter(|(_, (a, b))| a != b) {
        run(format!(
            "INSERT INTO follow (id, follower_id, followed_id) VALUES ({}, {follower}, {followed}) \
             ON CONFLICT DO NOTHING",
            n + 1
        ))
        .await;
    }
    // Every third mute has expired.
    for (n, (muter, muted)) in graph.mutes.iter().enumerate().filter(|(_, (a, b))| a != b) {
        let expires_at = ["NULL", "'2100-01-01 00:00:00+00:00'", "'2000-01-01 00:00:00+00:00'"];
        run(format!(
            "INSERT INTO mute (id, muter_id, muted_id, expires_at, hides_notifications) \
             VALUES ({}, {muter}, {muted}, {}, true) ON CONFLICT DO NOTHING",
            n + 1,
            expires_at[n % 3]
        ))
        .await;
    }
    for (n, author) in graph.authors.iter().enumerate() {
        run(format!(
            "INSERT INTO post (id, author_id, body, created_at, is_public) \
             VALUES ({}, {author}, 'x', '2026-01-01T00:00:00+00:00', {})",
            n + 1,
            !graph.protected.contains(author)
        ))
        .await;
    }
    run("UPDATE \"user\" SET \
         mutes_count = (SELECT count(*) FROM mute WHERE muter_id = \"user\".id), \
         following_count = (SELECT count(*) FROM follow WHERE follower_id = \"user\".id)"
        .to_owned())
    .await;
    transaction.commit().await.unwrap();
}

trait ExecuteOwned {
    async fn execute_unprepared_owned(&self, sql: String);
}

impl ExecuteOwned for sea_orm::DatabaseTransaction {
    async fn execute_unprepared_owned(&self, sql: String) {
        self.execute_unprepared(&sql).await.unwrap();
    }
}

/// The ids of a timeline that a viewer may see, by the tutorial's query.
///
/// The query is a union of own posts and those of followed users who are not muted, sorted by id.
pub async fn union(db: &Database, graph: &Graph, owner: i64, viewer: i64) -> Vec<i64> {
    let statement = db.statement(
        "SELECT post.* FROM post JOIN follow ON follow.followed_id = post.author_id \
         WHERE follow.follower_id = $1 AND followed_id NOT IN ( \
           SELECT muted_id FROM mute WHERE muter_id = $1 \
           AND (expires_at IS NULL OR expires_at > '2026-01-01 00:00:00+00:00')) \
         UNION SELECT post.* FROM post WHERE author_id = $1 ORDER BY id DESC",
        [owner.into()],
    );
    let posts = post::Model::find_by_statement(statement).all(db.reader()).await.unwrap();
    let is_visible = |user: i64| {
        !graph.protected.contains(&user)
            || user == viewer
            || graph.follows.contains(&(viewer, user))
    };
    let posts = posts.into_iter().filter(|post| is_visible(owner) && is_visible(post.author_id));
    posts.map(|post| post.id).collect()
}
