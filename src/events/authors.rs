//! The authors of a timeline, and the events that change them.

use std::collections::HashSet;

use entity::event::{self, Kind};

/// The users that decide what a timeline shows.
#[derive(Clone, Debug, Default)]
pub struct Authors {
    /// The owner and all users whom the owner follows.
    pub followed: HashSet<i64>,
    /// Users whom the owner mutes, whether followed or not.
    pub muted: HashSet<i64>,
    /// Users whom the owner blocks, or who block the owner.
    pub blocked: HashSet<i64>,
}

impl Authors {
    /// Whether the timeline shows the posts of this user.
    pub fn shows(&self, author: i64) -> bool {
        self.followed.contains(&author) && !self.muted.contains(&author)
    }

    /// Whether the timeline shows reposts of posts of this unprotected user.
    ///
    /// The owner is one of the followed users.
    pub fn shows_reposts_of(&self, author: i64) -> bool {
        let hides = [&self.followed, &self.muted, &self.blocked];
        !hides.iter().any(|users| users.contains(&author))
    }
}

/// Whether an event changes the owner's timeline while it shows `authors`.
pub fn affects_timeline(event: &event::Model, owner: i64, authors: &Authors) -> bool {
    match event.kind {
        Kind::LogStarted
        | Kind::FollowRequested
        | Kind::FollowRequestEnded
        | Kind::Notified
        | Kind::NotificationWithdrawn
        | Kind::NotificationsRead => false,
        Kind::PostAdded
        | Kind::PostUpdated
        | Kind::PostRemoved
        | Kind::PostCounted
        | Kind::Reposted
        | Kind::Unreposted
        | Kind::RepostsHidden => authors.shows(event.actor),
        Kind::Followed | Kind::Unfollowed | Kind::Muted | Kind::Unmuted => event.actor == owner,
        Kind::Several => {
            event.actor == owner && event.parts().any(|part| part.kind == Kind::Followed)
        }
        Kind::Blocked | Kind::Unblocked => event.actor == owner || event.object == owner,
        // The outbox has neither the followers of a deleted account nor many reposters.
        Kind::UserRemoved | Kind::ManyChanged | Kind::ManyRepostsHidden => true,
    }
}

/// Adds or removes the followed user of a follow event.
///
/// `adds` is the kind of event that adds the user: [`Kind::Followed`] to apply events, and
/// [`Kind::Unfollowed`] to undo them.
pub fn apply_follow(authors: &mut HashSet<i64>, event: &event::Model, adds: Kind) {
    match event.kind {
        kind @ (Kind::Followed | Kind::Unfollowed) if kind == adds => {
            authors.insert(event.object);
        }
        Kind::Followed | Kind::Unfollowed => {
            authors.remove(&event.object);
        }
        Kind::Several => event.parts().for_each(|part| apply_follow(authors, &part, adds)),
        _ => {}
    }
}
