//! How many sockets and streams of events are open, and how many operations run on them: by user, and by network of
//! those who are not signed in.

use crate::auth::Who;
use crate::config::Limits;
use crate::place::{Place, Places};

/// Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct Sockets {
    open: Places<Who>,
    operations: Places<Who>,
}

impl Sockets {
    /// # Errors
    /// That they have as many as they may.
    pub fn open(&self, who: Who, limits: &Limits) -> Result<Place<Who>, String> {
        let (most, whose) = match who {
            Who::User(_) => (limits.max_user_sockets, "one user"),
            Who::Network(_) => (limits.max_network_sockets, "one network"),
        };
        let full = || format!("more than {most} sockets and streams of {whose}");
        self.open.enter(who, most).ok_or_else(full)
    }

    /// # Errors
    /// That they have as many as they may.
    pub fn begin(&self, who: Who, limits: &Limits) -> Result<Place<Who>, String> {
        let most = limits.max_user_operations;
        let full = || format!("No more than {most} operations run at a time on all your sockets.");
        self.operations.enter(who, most).ok_or_else(full)
    }

    pub fn count(&self) -> usize {
        self.open.count()
    }
}
