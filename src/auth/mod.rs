//! Who is asking, and the proof: passwords, bearer tokens, and the viewer they lead to.

mod password;
mod presence;
mod session;
mod viewer;

pub use password::Passwords;
pub use presence::Presence;
pub use session::{Client, SignedIn, open_session};
pub use viewer::Viewer;
