//! The dispatch of posts with changed counts, and the timelines that show reposts.
//!
//! A subscriber sees a post because its timeline shows the author, or a user who has reposted it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::delivery::deliver;
use super::hub::open_sessions;
use super::{DeliveredEvent, EventHub};
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;
use crate::loaders::{reposters, timeline_rows, users};

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
