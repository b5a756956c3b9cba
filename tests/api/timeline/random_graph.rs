//! Random graphs, and their timelines by a plain union of feed items.

use proptest::prelude::*;
use rookery::database::Database;
use rookery::loaders::{ShownReplies, TimelineFilter};
use sea_orm::ConnectionTrait as _;

/// A graph of twelve users.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Follower and followed user.
    pub follows: Vec<(i64, i64)>,
    /// Muter and muted user.
    pub mutes: Vec<(i64, i64)>,
    /// Blocker and blocked user.
    pub blocks: Vec<(i64, i64)>,
    /// Protected users.
    pub protected: Vec<i64>,
    /// Posts and reposts, oldest first. The id of each is its index, from 1 on.
    pub items: Vec<Item>,
}

/// A feed item.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The author, or the user who reposts.
    pub actor: i64,
    /// The post that the item is a reply to or a repost of, by the index of its item.
    pub target: Option<(usize, Kind)>,
}

/// What an item with a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Reply,
    Repost,
}

impl Graph {
    /// Posts of these authors, oldest first.
    pub fn of_posts(follows: Vec<(i64, i64)>, authors: impl Iterator<Item = i64>) -> Self {
        let items = authors.map(|actor| Item { actor, target: None }).collect();
        Self { follows, items, ..Self::default() }
    }

    /// The author of the post that an item is a reply to or a repost of.
    fn subject(&self, item: Item) -> Option<i64> {
        item.target.map(|(target, _)| self.items[target].actor)
    }

    fn follows(&self, follower: i64, followed: i64) -> bool {
        self.follows.contains(&(follower, followed))
    }

    /// Whether there is a mute that has not expired.
    ///
    /// Of several mutes of a pair, the first is in the database.
    fn mutes(&self, muter: i64, muted: i64) -> bool {
        let mute = self.mutes.iter().position(|mute| *mute == (muter, muted));
        muter != muted && mute.is_some_and(|n| n % 3 != EXPIRED)
    }

    fn can_see(&self, viewer: i64, user: i64) -> bool {
        !self.protected.contains(&user) || user == viewer || self.follows(viewer, user)
    }

    /// Whether the timeline of `owner` shows an item to `viewer`.
    fn shows(&self, owner: i64, viewer: i64, filter: TimelineFilter, item: Item) -> bool {
        let is_own = item.actor == owner;
        let follows = self.follows(owner, item.actor) && !is_own;
        let is_source = is_own && filter.include_own || follows && !self.mutes(owner, item.actor);
        let subject = self.subject(item).unwrap_or_default();
        let is_shown = match item.target.map(|(_, kind)| kind) {
            None => true,
            Some(Kind::Reply) => match filter.replies {
                ShownReplies::All => true,
                ShownReplies::ToFollowed => subject == owner || self.follows(owner, subject),
                ShownReplies::None => false,
            },
            Some(Kind::Repost) => {
                filter.include_reposts
                    && subject != owner
                    && !self.follows(owner, subject)
                    && !self.mutes(owner, subject)
                    && !self.protected.contains(&subject)
                    && !self.blocks.contains(&(owner, subject))
                    && !self.blocks.contains(&(subject, owner))
            }
        };
        is_source && is_shown && self.can_see(viewer, owner) && self.can_see(viewer, item.actor)
    }

    /// The ids of the items of a timeline that a viewer may see, newest first.
    pub fn timeline(&self, owner: i64, viewer: i64, filter: TimelineFilter) -> Vec<i64> {
        let items = (1i64..).zip(&self.items);
        let shown = items.filter(|(_, item)| self.shows(owner, viewer, filter, **item));
        shown.map(|(id, _)| id).collect::<Vec<_>>().into_iter().rev().collect()
    }
}

/// Every third mute has expired.
const EXPIRED: usize = 2;

pub fn graphs() -> impl Strategy<Value = Graph> {
    // Few and many authors, with many posts and with none.
    let user = 1i64..=12;
    let actor = prop_oneof![3 => 1i64..=12, 2 => 1i64..=3, 1 => Just(1i64)];
    let pairs = |count| prop::collection::vec((user.clone(), user.clone()), count);
    let target = (any::<prop::sample::Index>(), any::<bool>());
    let items = prop::collection::vec((actor, prop::option::of(target)), 0..250);
    let protected = prop::collection::vec(user.clone(), 0..6);
    (pairs(0..60), pairs(0..40), pairs(0..8), protected, items).prop_map(
        |(follows, mutes, blocks, protected, drawn)| {
            let mut items: Vec<Item> = Vec::with_capacity(drawn.len());
            for (actor, target) in drawn {
                // Only posts are replied to and reposted, and a user reposts a post once.
                let target = target.and_then(|(index, is_repost)| {
                    let target = index.index(items.len().max(1));
                    let kind = if is_repost { Kind::Repost } else { Kind::Reply };
                    let is_post = |item: &Item| item.target.is_none_or(|t| t.1 == Kind::Reply);
                    let is_repeated = items.iter().any(|item| {
                        item.actor == actor && item.target == Some((target, Kind::Repost))
                    });
                    items.get(target).filter(|item| is_post(item) && !is_repeated)?;
                    Some((target, kind))
                });
                items.push(Item { actor, target });
            }
            Graph { follows, mutes, blocks, protected, items }
        },
    )
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
    for (n, (blocker, blocked)) in graph.blocks.iter().enumerate().filter(|(_, (a, b))| a != b) {
        run(format!(
            "INSERT INTO block (id, blocker_id, blocked_id) VALUES ({}, {blocker}, {blocked}) \
             ON CONFLICT DO NOTHING",
            n + 1
        ))
        .await;
    }
    for (id, item) in (1i64..).zip(&graph.items) {
        let (actor, target) = (item.actor, item.target);
        let subject = graph.subject(*item).map_or("NULL".to_owned(), |user| user.to_string());
        let target_id = target.map(|(target, _)| target + 1);
        let (kind, post) = match (target, target_id) {
            (Some((_, Kind::Repost)), Some(post)) => (2, post.to_string()),
            (Some(_), Some(_)) => (1, id.to_string()),
            _ => (0, id.to_string()),
        };
        if kind < 2 {
            let parent = target_id.map_or("NULL".to_owned(), |parent| parent.to_string());
            run(format!(
                "INSERT INTO post (id, author_id, body, created_at, is_public, in_reply_to_id) \
                 VALUES ({id}, {actor}, 'x', '2026-01-01T00:00:00+00:00', {}, {parent})",
                !graph.protected.contains(&actor)
            ))
            .await;
        }
        run(format!(
            "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind) \
             VALUES ({actor}, {id}, {post}, {subject}, {kind})"
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
