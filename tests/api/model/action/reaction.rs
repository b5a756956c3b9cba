//! What a user adds to a post, and takes back.

use crate::model::graph::{Code, Graph};

/// A reaction to a post, or its opposite.
#[derive(Clone, Copy, Debug)]
pub enum Reaction {
    Bookmark,
    Unbookmark,
    Like,
    Unlike,
    Repost,
    Unrepost,
}

impl Reaction {
    /// The name of the mutation.
    pub fn field(self) -> &'static str {
        match self {
            Self::Bookmark => "bookmark",
            Self::Unbookmark => "unbookmark",
            Self::Like => "like",
            Self::Unlike => "unlike",
            Self::Repost => "repost",
            Self::Unrepost => "unrepost",
        }
    }

    /// Changes the model.
    ///
    /// Returns whether anything changed, or the code of the user error.
    pub fn apply(self, viewer: usize, post: usize, graph: &mut Graph) -> Result<bool, Code> {
        if !graph.may_see_post(Some(viewer), post) {
            return Err("NOT_FOUND");
        }
        match self {
            Self::Bookmark => Ok(graph.bookmark(viewer, post)),
            Self::Unbookmark => Ok(graph.unbookmark(viewer, post)),
            Self::Like => graph.like(viewer, post),
            Self::Unlike => Ok(graph.unlike(viewer, post)),
            Self::Repost => graph.repost(viewer, post),
            Self::Unrepost => Ok(graph.unrepost(viewer, post)),
        }
    }
}
