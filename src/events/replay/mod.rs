//! The events that a subscriber missed before the hub added it.
//!
//! They are read from the outbox on behalf of the client, and their rows in batches, as the client
//! receives them.

mod notifications;
mod timeline;

use std::collections::VecDeque;

use entity::event;

use super::authors::Authors;
use super::{DeliveredEvent, Topic, outbox};
use crate::database::{Snapshot, StreamPosition};
use crate::error::Error;

/// Rows that a replay reserves beside those of its events.
///
/// It executes several statements for few rows.
const REPLAY_ROWS: usize = 500;

/// The missed events of one subscriber.
pub struct Replay<'a> {
    /// The position that the client resumes from.
    pub after: &'a StreamPosition,
    /// The position at which the hub has added the subscriber.
    pub joined: &'a StreamPosition,
    /// Reads on behalf of the client.
    pub snapshot: &'a Snapshot,
}

impl Replay<'_> {
    /// The events between both positions that concern the subscriber, in order.
    ///
    /// `authors` are those of its timeline, if it has one. `None` if the outbox no longer has all
    /// of the events, or if they exceed [`outbox::MAX_REPLAYED`].
    pub async fn find(
        &self,
        topic: Topic,
        authors: Authors,
    ) -> Result<Option<VecDeque<event::Model>>, Error> {
        self.snapshot.read(REPLAY_ROWS).await?;
        if !outbox::retains(self.snapshot, self.after).await? {
            return Ok(None);
        }
        match topic {
            Topic::Timeline(owner) => self.timeline_events(owner, authors).await,
            Topic::Notifications(user) => self.notification_changes(user).await,
            Topic::Relationships(_) | Topic::Counts(_) => Ok(None),
        }
    }

    /// The positions after some of these events, which follow the position `replayed`.
    ///
    /// `next` is the missed event after them. The last missed event has the position of the join.
    pub fn positions(
        &self,
        replayed: &StreamPosition,
        events: &[event::Model],
        next: Option<&event::Model>,
    ) -> Vec<StreamPosition> {
        let mut position = replayed.clone();
        let mut positions = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            match events.get(index + 1).or(next) {
                // A client that resumes before the last part receives the parts again.
                Some(next) if next.txn == event.txn => {}
                Some(_) => position = self.after.advance_to(event.into(), self.joined),
                None => position.clone_from(self.joined),
            }
            positions.push(position.clone());
        }
        positions
    }

    /// Loads the rows of some of these events, which have the given positions.
    pub async fn load(
        &self,
        topic: Topic,
        events: Vec<event::Model>,
        positions: Vec<StreamPosition>,
    ) -> Result<Vec<DeliveredEvent>, Error> {
        match topic {
            Topic::Notifications(_) => self.load_notifications(events, positions).await,
            Topic::Timeline(_) | Topic::Relationships(_) | Topic::Counts(_) => {
                self.load_posts(events, positions).await
            }
        }
    }
}
