//! The events of a subscription, between two responses.

use entity::event::{self, Kind};
use entity::user::Model as UserRow;

use crate::events::{DeliveredEvent, EventStream};

/// The source of a subscription's events, all that it holds while it waits.
pub struct EventSource {
    pub stream: EventStream,
    pub filter: Filter,
}

/// The events of a stream to respond to. Others cost their subscriber nothing.
pub enum Filter {
    None,
    /// Changes of the relationships between the viewer and these users, by default all.
    Relationships {
        viewer: i64,
        users: Option<Vec<i64>>,
    },
    /// Changes of the counts of a user, which were these in the last response.
    Counts {
        user: i64,
        counts: (i32, i32),
    },
}

impl Filter {
    fn matches(&self, delivered: &DeliveredEvent) -> bool {
        let event = &delivered.event;
        match self {
            Self::None => true,
            Self::Relationships { viewer, users } => {
                let is_of_pair = matches!(
                    event.kind,
                    Kind::Followed
                        | Kind::Unfollowed
                        | Kind::Blocked
                        | Kind::Unblocked
                        | Kind::Muted
                        | Kind::Unmuted
                        | Kind::FollowRequested
                        | Kind::FollowRequestEnded
                );
                let other = other_user(event, *viewer);
                is_of_pair && users.as_ref().is_none_or(|users| users.contains(&other))
            }
            // The deletion of an account is sent to all subscribers, with the rows of their users.
            Self::Counts { user, counts } => {
                delivered.users.get(user).is_none_or(|user| follow_counts_of(user) != *counts)
            }
        }
    }
}

impl EventSource {
    /// Waits for an event to respond to.
    pub async fn wait(&mut self) {
        loop {
            self.stream.wait().await;
            if self.stream.peek().is_none_or(|event| self.filter.matches(event)) {
                return;
            }
            self.stream.skip();
        }
    }

    /// Replaces the event that was just taken by `StreamLagged`, which ends the stream.
    ///
    /// Returns `false` and does nothing for a subscription without this event.
    pub fn replace_by_lagged(&mut self) -> bool {
        self.stream.lag_next()
    }
}

/// The user of an event who is not the viewer.
pub fn other_user(event: &event::Model, viewer: i64) -> i64 {
    if event.actor == viewer { event.object } else { event.actor }
}

pub fn follow_counts_of(user: &UserRow) -> (i32, i32) {
    (user.followers_count, user.following_count)
}
