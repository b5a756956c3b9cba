//! The delivery of an event and of its parts to the subscribers.
//!
//! A client resumes after the cursor of the last change that it has received. Several changes of
//! one transaction have one position, so only the last of them that a subscriber receives has the
//! position after the event. Those before it have the position before the event: a client that
//! resumes between them receives the changes of the event again.

use std::collections::HashSet;
use std::sync::Arc;

use entity::event::{self, Kind};

use super::registry::SubscriptionRegistry;
use super::{DeliveredEvent, HubMessage};

/// The changes of one event, each with the subscribers that receive it.
#[derive(Default)]
pub struct Deliveries {
    changes: Vec<(event::Model, Vec<u64>)>,
    /// Subscribers that receive a reset because reposts are hidden or shown again.
    reset: HashSet<u64>,
}

impl Deliveries {
    /// Adds a change and its subscribers.
    ///
    /// A protection hides reposts by many users. Each subscriber receives one reset for all.
    pub fn add(&mut self, change: event::Model, mut to: Vec<u64>) {
        if change.kind == Kind::RepostsHidden {
            to.retain(|id| self.reset.insert(*id));
        }
        if !to.is_empty() {
            self.changes.push((change, to));
        }
    }

    /// The changes in order, each with subscribers.
    ///
    /// The flag says whether it is the last change that they receive.
    pub fn in_order(self) -> Vec<(event::Model, Vec<u64>, bool)> {
        let mut complete: HashSet<u64> = HashSet::new();
        let mut deliveries = Vec::with_capacity(self.changes.len());
        for (change, to) in self.changes.into_iter().rev() {
            let (last, others): (Vec<u64>, Vec<u64>) =
                to.into_iter().partition(|id| complete.insert(*id));
            let of_others = (!others.is_empty()).then(|| (change.clone(), others, false));
            deliveries.extend((!last.is_empty()).then_some((change, last, true)));
            deliveries.extend(of_others);
        }
        deliveries.reverse();
        deliveries
    }
}

/// Sends an event to subscribers, and removes those whose session is not `open`.
pub fn deliver(
    registry: &mut SubscriptionRegistry,
    delivered: DeliveredEvent,
    to: Vec<u64>,
    open: &HashSet<i64>,
) {
    let delivered = Arc::new(delivered);
    for id in to {
        let Some(subscriber) = registry.subscribers.get(&id) else { continue };
        if subscriber.session.is_none_or(|session| open.contains(&session)) {
            subscriber.send(HubMessage::Event(Arc::clone(&delivered)));
        } else if let Some(subscriber) = registry.remove(id) {
            subscriber.send(HubMessage::SessionEnded);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn change(kind: Kind, object: i64) -> event::Model {
        event::Model { txn: 1, kind, actor: 1, object, at: Utc::now(), changes: None }
    }

    #[test]
    fn the_last_change_of_each_subscriber_completes_the_event() {
        let mut deliveries = Deliveries::default();
        deliveries.add(change(Kind::PostRemoved, 1), vec![7]);
        deliveries.add(change(Kind::Unreposted, 2), vec![7, 8]);
        deliveries.add(change(Kind::Unreposted, 3), vec![]);
        deliveries.add(change(Kind::Unreposted, 4), vec![8]);
        let mut received = vec![];
        for (change, to, is_last) in deliveries.in_order() {
            received.extend(to.into_iter().map(|id| (id, change.object, is_last)));
        }
        received.sort_by_key(|(id, ..)| *id);
        assert_eq!(received, [(7, 1, false), (7, 2, true), (8, 2, false), (8, 4, true)]);
    }

    #[test]
    fn a_subscriber_receives_one_reset_for_all_hidden_reposts() {
        let mut deliveries = Deliveries::default();
        for (object, to) in [(1, vec![7]), (2, vec![7, 8]), (3, vec![8])] {
            deliveries.add(change(Kind::RepostsHidden, object), to);
        }
        let received: Vec<_> =
            deliveries.in_order().into_iter().map(|(change, to, _)| (change.object, to)).collect();
        assert_eq!(received, [(1, vec![7]), (2, vec![8])]);
    }
}
