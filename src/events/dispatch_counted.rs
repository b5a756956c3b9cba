//! The dispatch of posts with changed counts, and the timelines that show reposts.
//!
//! A subscriber sees a post because its timeline shows the author, or a user who has reposted it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sea_orm::FromQueryResult;
use tokio::time::Instant;

use super::delivery::deliver;
use super::hub::open_sessions;
use super::{DeliveredEvent, EventHub};
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;
use crate::loaders::{timeline_rows, users};

/// Maximum number of reposts that are read to find the timelines of posts.
const MAX_REPOSTERS: usize = 10_000;

impl EventHub {
    /// Sends the posts with changed counts that are due to their subscribers.
    pub(super) async fn dispatch_counted(
        &self,
        snapshot: &Snapshot,
        position: &StreamPosition,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let due = self.registry().counted.due(now);
        if due.is_empty() {
            return Ok(());
        }
        let posts: Vec<i64> = due.iter().map(|change| change.object).collect();
        let reposters = reposters(snapshot, &posts).await?;
        let (mut recipients, mut sessions) = (HashMap::new(), HashSet::new());
        {
            let registry = self.registry();
            for change in &due {
                let by_repost = reposters.get(&change.object).into_iter().flatten();
                let by_repost =
                    by_repost.flat_map(|user| registry.watchers_of_reposts(*user, change.actor));
                let to: HashSet<u64> =
                    registry.watchers_of(change.actor).chain(by_repost).collect();
                sessions.extend(to.iter().filter_map(|id| registry.subscribers.get(id)?.session));
                if !to.is_empty() {
                    recipients.insert(change.object, to.into_iter().collect::<Vec<_>>());
                }
            }
        }
        let shown: Vec<i64> = recipients.keys().copied().collect();
        let rows = timeline_rows(snapshot, &shown).await?;
        let authors: HashSet<i64> = rows.values().map(|row| row.author.id).collect();
        let users = Arc::new(users(snapshot, &authors.into_iter().collect::<Vec<_>>()).await?);
        let open = open_sessions(snapshot, &sessions).await?;
        let mut registry = self.registry();
        for change in &due {
            let (Some(to), Some(row)) =
                (recipients.remove(&change.object), rows.get(&change.object))
            else {
                continue;
            };
            let delivered = DeliveredEvent {
                event: change.clone(),
                position: position.clone(),
                post: Some(row.clone()),
                notification: None,
                users: Arc::clone(&users),
            };
            deliver(&mut registry, delivered, to, &open);
        }
        registry.counted.mark_sent(&due, now);
        Ok(())
    }
}

/// The users who have reposted posts, by post.
pub type Reposters = HashMap<i64, Vec<i64>>;

/// The users who have reposted these posts, the newest [`MAX_REPOSTERS`] of all.
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
    let sql = format!(
        "SELECT post_id, actor_id FROM feed_item WHERE {} AND kind = 2 \
         ORDER BY id DESC LIMIT {MAX_REPOSTERS}",
        engine.in_list_sql("post_id", 1)
    );
    let values = [engine.bind_ids(posts.iter().copied())];
    for Repost { post_id, actor_id } in snapshot.all(MAX_REPOSTERS, &sql, values).await? {
        by_post.entry(post_id).or_default().push(actor_id);
    }
    Ok(by_post)
}
