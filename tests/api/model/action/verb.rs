//! Changes of the relationship with another user.

use super::RELATIONSHIP;
use crate::model::graph::{Code, Graph};

/// A change of the relationship with another user.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    Follow,
    Unfollow,
    RemoveFollower,
    Accept,
    Reject,
    Block,
    Unblock,
    Mute,
    Unmute,
}

impl Verb {
    /// The name of the mutation.
    fn field(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Unfollow => "unfollow",
            Self::RemoveFollower => "removeFollower",
            Self::Accept => "acceptFollowRequest",
            Self::Reject => "rejectFollowRequest",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Mute => "mute",
            Self::Unmute => "unmute",
        }
    }

    /// The mutation of the user `$by`.
    pub fn document(self) -> String {
        let field = self.field();
        format!(
            "mutation ($by: UserBy!) {{ do: {field}(user: $by) {{
             changed user {{ followersCount followingCount }}
             relationship {{ {RELATIONSHIP} }} userErrors {{ code }} }} }}"
        )
    }

    /// Changes the model.
    ///
    /// Returns whether anything changed, or the code of the user error.
    pub fn apply(self, viewer: usize, target: usize, graph: &mut Graph) -> Result<bool, Code> {
        if !graph.users.contains(&target) {
            return Err("NOT_FOUND");
        }
        if viewer == target {
            return Err("SELF_TARGET");
        }
        match self {
            Self::Follow => graph.follow(viewer, target),
            Self::Unfollow => Ok(graph.unfollow(viewer, target)),
            Self::RemoveFollower => Ok(graph.remove_follower(viewer, target)),
            Self::Accept => graph.accept(viewer, target),
            Self::Reject => Ok(graph.reject(viewer, target)),
            Self::Block => Ok(graph.block(viewer, target)),
            Self::Unblock => Ok(graph.unblock(viewer, target)),
            Self::Mute => Ok(graph.mute(viewer, target)),
            Self::Unmute => Ok(graph.unmute(viewer, target)),
        }
    }
}
