//! The missed events of a timeline.
//!
//! The authors that the timeline showed at the resumed position are reconstructed: the owner's
//! follows since then are undone, and reapplied event by event. A block does not say which follows
//! it ended, and a mute not whether the user was followed. The replay therefore begins with the
//! last of them: the client reads its timeline again after it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use entity::event::{self, Kind};

use super::Replay;
use crate::database::StreamPosition;
use crate::error::Error;
use crate::events::authors::{Authors, affects_timeline, apply_follow};
use crate::events::counted::read_counted;
use crate::events::{DeliveredEvent, carries_post, outbox};
use crate::loaders::{timeline_rows, users};

impl Replay<'_> {
    /// The missed events that concern the owner's timeline.
    ///
    /// `authors` are those that the timeline showed at the join. `None` if the events exceed
    /// [`outbox::MAX_REPLAYED`]. Events of an author who deletes the account after the join may be
    /// missing: a `TimelineReset` follows.
    pub(super) async fn timeline_events(
        &self,
        owner: i64,
        mut authors: Authors,
    ) -> Result<Option<VecDeque<event::Model>>, Error> {
        let Self { after, joined, snapshot } = *self;
        let precedes_join = |event: &event::Model| joined.contains(event.txn);
        let changes = outbox::author_changes_after(snapshot, after, owner).await?;
        let Some(mut changes) = changes else { return Ok(None) };
        // The snapshot is newer than the join. A user whom the owner has unfollowed since the join
        // is no longer in the table of follows, so changes after the join are included here.
        let parts = changes.iter().flat_map(event::Model::parts);
        let followed = parts.filter(|part| part.kind == Kind::Followed).map(|part| part.object);
        let others = changes.iter().map(|change| change.object).chain(followed).collect();
        let users = outbox::TimelineUsers { owner, followed: authors.followed.len(), others };
        let mut found = match outbox::read_for_timeline(snapshot, after, &users).await {
            Ok(Some(found)) => found,
            // The timeline has too many authors for the maximum of work.
            Ok(None) | Err(Error::TooMuchWork { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        changes.retain(precedes_join);
        let is_reset = |change: &event::Model| {
            use Kind::{Blocked, ManyChanged, Muted, Unblocked, Unmuted, UserRemoved};
            matches!(change.kind, Blocked | Unblocked | Muted | Unmuted | ManyChanged | UserRemoved)
        };
        if let Some(reset) = changes.iter().rposition(is_reset) {
            changes.drain(..reset);
            found = found.split_off(&changes[0].txn);
            found.insert(changes[0].txn, changes[0].clone());
        }
        // Undoes the owner's follows, newest first. The loop below reapplies them.
        for change in changes.iter().rev() {
            apply_follow(&mut authors.followed, change, Kind::Unfollowed);
        }
        let mut missed = VecDeque::new();
        for change in
            found.values().filter(|event| precedes_join(event)).flat_map(event::Model::with_parts)
        {
            let is_shown = affects_timeline(&change, owner, &authors);
            if change.actor == owner {
                apply_follow(&mut authors.followed, &change, Kind::Followed);
            }
            // Changed counts are read below, once for each post.
            let is_added = is_shown && change.kind != Kind::PostCounted;
            // One reset for all reposts that a protection hides.
            let is_repeated = |last: &event::Model| {
                last.txn == change.txn && [last.kind, change.kind] == [Kind::RepostsHidden; 2]
            };
            if is_added && !missed.back().is_some_and(is_repeated) {
                missed.push_back(change);
            }
        }
        let counted = match read_counted(snapshot, after, &users).await {
            Ok(Some(counted)) => counted,
            Ok(None) | Err(Error::TooMuchWork { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // The client reads its timeline again after a reset.
        if !missed.iter().any(is_reset) {
            for event in counted.into_iter().filter(|event| authors.shows(event.actor)) {
                missed.push_front(event);
            }
        }
        outbox::retain_shown_reposts(snapshot, &mut missed, &authors).await?;
        Ok(Some(missed))
    }

    /// Loads the posts of events and their authors.
    pub(super) async fn load_posts(
        &self,
        events: Vec<event::Model>,
        positions: Vec<StreamPosition>,
    ) -> Result<Vec<DeliveredEvent>, Error> {
        let with_post = events.iter().filter(|event| carries_post(event));
        let items: Vec<i64> = with_post.map(|event| event.object).collect();
        let posts = timeline_rows(self.snapshot, &items).await?;
        let authors: HashSet<i64> = posts.values().map(|row| row.author.id).collect();
        let authors: Vec<i64> = authors.into_iter().collect();
        let users = Arc::new(users(self.snapshot, &authors).await?);
        let delivered = events.into_iter().zip(positions).map(|(event, position)| {
            let post = posts.get(&event.object).filter(|_| carries_post(&event)).cloned();
            let users = Arc::clone(&users);
            DeliveredEvent { event, position, post, notification: None, users }
        });
        Ok(delivered.collect())
    }
}
