//! The proof that a viewer is a moderator or an administrator.
//!
//! Authorisation is decided here and nowhere else. A function that is for moderators takes a
//! `&Moderator`, and there is no other way to get one.

use std::ops::Deref;
use std::sync::Arc;

use entity::user::Role;

use super::Viewer;
use crate::error::Error;

/// A viewer who may moderate: a moderator or an administrator.
#[derive(Clone, Debug)]
pub struct Moderator(Arc<Viewer>);

impl Moderator {
    /// The proof for a viewer, by the role at the time of the request.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the viewer has no such role.
    pub fn new(viewer: Arc<Viewer>) -> Result<Self, Error> {
        if viewer.is_moderator() {
            return Ok(Self(viewer));
        }
        Err(Error::Forbidden("Only a moderator may do this."))
    }

    /// Checks that the moderator may act on an account with this role.
    ///
    /// Moderators act on users, and administrators on users and moderators. Only the operator acts
    /// on administrators.
    ///
    /// # Errors
    /// [`Error::Forbidden`] otherwise.
    pub fn check_may_act_on(&self, role: Role) -> Result<(), Error> {
        if self.user().role > role {
            return Ok(());
        }
        Err(Error::Forbidden("This account has the same role as yours, or a higher one."))
    }
}

impl Deref for Moderator {
    type Target = Viewer;

    fn deref(&self) -> &Viewer {
        &self.0
    }
}
