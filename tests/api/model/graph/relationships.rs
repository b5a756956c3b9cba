//! Follows, requests, blocks and mutes.
//!
//! Most changes return whether anything changed.

use serde_json::{Value, json};

use super::notices::{Cause, Kind};
use super::{Code, Graph, name};

impl Graph {
    /// The fields of `Relationship` that do not contain a time.
    pub fn relationship(&self, viewer: usize, other: usize) -> Value {
        let follows = self.follows.contains(viewer, other);
        let follow_state = if follows {
            "FOLLOWING"
        } else if self.requests.contains(viewer, other) {
            "REQUESTED"
        } else {
            "NOT_FOLLOWING"
        };
        let followed_by = self.follows.contains(other, viewer);
        let can_follow = !self.is_blocked(viewer, other);
        json!({
            "user": { "username": name(other) },
            "followState": follow_state,
            "followedBy": followed_by,
            "requestedBy": self.requests.contains(other, viewer),
            "canFollow": can_follow,
            "cannotFollowReason": (!can_follow).then_some("BLOCKED"),
            "blocking": self.blocks.contains(viewer, other),
            "blockedBy": self.blocks.contains(other, viewer),
            "muting": self.mutes.contains(viewer, other),
            "mutingUntil": null,
            "isMutual": follows && followed_by,
        })
    }

    /// Follows a user, or asks to follow a protected user.
    pub fn follow(&mut self, viewer: usize, target: usize) -> Result<bool, Code> {
        if self.is_blocked(viewer, target) {
            return Err("BLOCKED");
        }
        if self.protected.contains(&target) && !self.follows.contains(viewer, target) {
            let is_new = self.requests.insert(viewer, target);
            if is_new {
                self.notify(Cause::of_users(Kind::FollowRequest, viewer, target));
            }
            return Ok(is_new);
        }
        self.end_request(viewer, target);
        let is_new = self.follows.insert(viewer, target);
        if is_new {
            self.notify(Cause::of_users(Kind::Follow, viewer, target));
        }
        Ok(is_new)
    }

    /// Ends a follow, or withdraws a request.
    pub fn unfollow(&mut self, viewer: usize, target: usize) -> bool {
        self.end_follow(viewer, target) || self.end_request(viewer, target)
    }

    pub fn remove_follower(&mut self, viewer: usize, follower: usize) -> bool {
        self.end_follow(follower, viewer)
    }

    /// Accepts a request. Only the requester is notified.
    pub fn accept(&mut self, viewer: usize, requester: usize) -> Result<bool, Code> {
        if self.end_request(requester, viewer) {
            self.follows.insert(requester, viewer);
            self.notify(Cause::of_users(Kind::RequestAccepted, viewer, requester));
            return Ok(true);
        }
        if self.follows.contains(requester, viewer) { Ok(false) } else { Err("NOT_FOUND") }
    }

    pub fn reject(&mut self, viewer: usize, requester: usize) -> bool {
        self.end_request(requester, viewer)
    }

    /// Blocks a user.
    ///
    /// It ends follows, requests and notifications in both directions.
    pub fn block(&mut self, viewer: usize, target: usize) -> bool {
        let mut changed = self.blocks.insert(viewer, target);
        for (one, other) in [(viewer, target), (target, viewer)] {
            changed |= self.follows.remove(one, other);
            changed |= self.requests.remove(one, other);
        }
        self.withdraw_between(viewer, target);
        changed
    }

    pub fn unblock(&mut self, viewer: usize, target: usize) -> bool {
        self.blocks.remove(viewer, target)
    }

    pub fn mute(&mut self, viewer: usize, target: usize) -> bool {
        self.mutes.insert(viewer, target)
    }

    pub fn unmute(&mut self, viewer: usize, target: usize) -> bool {
        self.mutes.remove(viewer, target)
    }

    /// Ends a follow with the notifications that it has caused.
    fn end_follow(&mut self, follower: usize, followed: usize) -> bool {
        let changed = self.follows.remove(follower, followed);
        if changed {
            self.withdraw(Cause::of_users(Kind::Follow, follower, followed));
            self.withdraw(Cause::of_users(Kind::RequestAccepted, followed, follower));
        }
        changed
    }

    /// Ends a request with its notification.
    fn end_request(&mut self, requester: usize, target: usize) -> bool {
        let changed = self.requests.remove(requester, target);
        if changed {
            self.withdraw(Cause::of_users(Kind::FollowRequest, requester, target));
        }
        changed
    }
}
